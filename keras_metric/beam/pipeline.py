"""Whole runs: files or TFRecords in, vectors out."""

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from keras_metric.beam import shards as written
from keras_metric.beam.handler import SavedModelHandler
from keras_metric.export import versions


def embed_files(
    pattern, model, output, parse=None, shards=8, max_batch_size=64, options=None, overwrite=False
):
    """Embeds every file that a pattern names.

        embed_files("photos/**.jpg", "saved_models/photos", "embedded", options=["--runner=DataflowRunner", …])

    Args:
        pattern: such as "photos/*.jpg"; any file system that Beam knows. Ids are the paths.
        model: folder of an exported model whose `embed` takes one input, such as the bytes of a file
            (`export.EncodedImages`).
        output: folder of the vectors; see `read_vectors`.
        parse: from the bytes of a file to what the model takes for one row; None hands the bytes over.
        shards: files to write.
        max_batch_size: rows of one call of the model.
        options: Beam's `PipelineOptions`, or a list of its flags; by default the local DirectRunner.
        overwrite: whether to replace the vectors of an earlier run.

    Returns:
        The number of vectors.

    Raises:
        FileNotFoundError: if there is no exported model.
        FileExistsError: if something is in `output`.
        ValueError: if the pattern names no file.
    """

    def read(pipeline):
        return (
            pipeline
            | "Match" >> fileio.MatchFiles(pattern)
            | "Open" >> fileio.ReadMatches()
            | "Read" >> beam.Map(lambda file: (file.metadata.path, file.read()))
        )

    return _run(read, pattern, model, output, parse, shards, max_batch_size, options, overwrite)


def embed_tfrecords(
    pattern, parse, model, output, shards=8, max_batch_size=64, options=None, overwrite=False
):
    """Embeds every record of TFRecord files.

    Args:
        parse: from a serialised record to `(id, what the model takes for one row)`; ids are texts or whole numbers.
        pattern, model, output, shards, max_batch_size, options, overwrite: see `embed_files`.

    Returns and Raises: as `embed_files`.
    """

    def read(pipeline):
        return pipeline | "Read" >> beam.io.ReadFromTFRecord(pattern) | "Parse" >> beam.Map(parse)

    return _run(read, pattern, model, output, None, shards, max_batch_size, options, overwrite)


def _run(read, pattern, model, output, parse, shards, max_batch_size, options, overwrite):
    folder = versions.version_folder(model).resolve()
    output = written.prepare(output, overwrite).resolve()
    if not isinstance(options, beam.options.pipeline_options.PipelineOptions):
        options = beam.options.pipeline_options.PipelineOptions(options or [])
    handler = KeyedModelHandler(SavedModelHandler(folder, max_batch_size=max_batch_size))
    with beam.Pipeline(options=options) as pipeline:
        rows = read(pipeline)
        if parse is not None:
            rows = rows | "Parse" >> beam.MapTuple(lambda name, content: (name, parse(content)))
        vectors = rows | "Embed" >> RunInference(handler)
        _ = vectors | "Shards" >> written.WriteShards(output, shards)
    count = written.finish(output, folder)
    if not count:
        raise ValueError(
            f"`pattern` must name files with something in them. Received: {pattern!r}."
        )
    return count
