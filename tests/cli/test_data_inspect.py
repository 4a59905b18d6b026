import numpy as np
from PIL import Image


def test_a_folder_is_looked_over(command, folder, tmp_path):
    first = folder / "disc" / "0.png"
    (folder / "bar" / "copy.png").write_bytes(first.read_bytes())
    (folder / "disc" / "again.png").write_bytes(first.read_bytes())
    (folder / "box" / "torn.png").write_bytes(first.read_bytes()[:40])
    (folder / "box" / "notes.txt").write_text("passed over")
    for name in ("lone", "nothing"):
        (folder / name).mkdir()
    Image.fromarray(np.full((90, 30), 7, "uint8")).save(folder / "lone" / "tall.png")
    sheet = tmp_path / "sheet.png"
    code, out, err = command("data", "inspect", folder, "--sheet", sheet)
    assert code == 0, err
    assert "5 classes, 21 examples" in out and "0 to 7, 4.2 on average" in out
    assert "  bar      7\n" in out and "  box      6\n" in out
    assert "single example: 1\n  lone\n" in out
    assert "without a readable example: 1\n  nothing\n" in out
    assert "broken: 1\n" in out and "torn.png (" in out
    duplicates = out.partition("duplicates (same bytes): 1\n")[2].splitlines()[0]
    assert duplicates.count(".png") == 3 and "in different classes" in duplicates
    assert "other kinds, passed over: 1" in out
    assert Image.open(sheet).size == (8 * 68 + 4, 4 * 84 + 4)
    assert [f.name for f in tmp_path.iterdir() if f.suffix == ".png"] == ["sheet.png"]


def test_arrays_are_looked_over(command, tmp_path, monkeypatch):
    x = np.random.default_rng(0).random((30, 6, 6, 1)).astype("float32")
    x[3], x[4] = np.nan, x[5]
    np.savez(tmp_path / "many.npz", x=x, y=np.arange(30))
    monkeypatch.chdir(tmp_path)
    code, out, err = command("data", "inspect", "many.npz")
    assert code == 0, err
    assert "30 classes, 29 examples" in out and "row 3 (NaN or infinity)" in out
    assert "row 4 = row 5 (in different classes!)" in out
    assert "… and 10 more (--all)" in out
    assert "… and" not in command("data", "inspect", "many.npz", "--all", "--no-sheet")[1]
    assert Image.open("many-contact-sheet.png").size[0] == 548


def test_what_cannot_be_inspected(command, tmp_path):
    code, _, err = command("data", "inspect", tmp_path / "none")
    assert code == 1 and "no such folder or file" in err
    code, _, err = command("data", "inspect", tmp_path)
    assert code == 1 and "one sub-folder a class" in err
    code, _, err = command("data", "look", tmp_path)
    assert code == 2 and "inspect" in err
    (tmp_path / "a.npz").write_bytes(b"nothing")
    code, _, err = command("data", "inspect", tmp_path / "a.npz")
    assert code == 1 and "a.npz" in err and err.count("\n") == 1


def test_no_images_no_sheet(command, tmp_path):
    np.savez(tmp_path / "table.npz", x=np.ones((4, 2, 2, 7)), y=[0, 0, 1, 1])
    code, out, _ = command("data", "inspect", tmp_path / "table.npz")
    assert code == 0 and "none, there are no images" in out
