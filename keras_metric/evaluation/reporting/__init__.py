"""What `evaluation.report` is made of: findings, pictures of items, charts as SVG, and the page around them."""
