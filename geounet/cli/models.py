"""``geounet models list|show|export``."""

from __future__ import annotations

import click

from geounet.cli import show
from geounet.cli.options import output_options


@click.group(short_help="List, show or export models.")
def models() -> None:
    """Models that come with geounet, and what to do with them."""


@models.command("list", short_help="Models that come with geounet.")
@output_options
def list_models(as_json: bool, quiet: bool) -> int:
    """Name every model that comes with geounet, with its heads and resolution."""
    from geounet.model.package import load_model
    from geounet.model.package import models as names

    for name in names():
        spec = load_model(name).spec
        heads = "; ".join(f"{h.name}: {', '.join(c.name for c in h.classes)}" for h in spec.heads)
        if as_json:
            show.json_line("model", name=name, version=spec.version, description=spec.description, gsd=spec.gsd)
        elif not quiet:
            click.echo(f"{name} {spec.version}  {spec.description}")
            click.echo(f"  {heads}")
    return 0


@models.command("show", short_help="A model's card.")
@click.argument("model", metavar="NAME|FOLDER|FILE.onnx")
@click.option("--allow-pickle", is_flag=True, help="Let the weights be a pickle.")
@output_options
def show_one(model: str, allow_pickle: bool, as_json: bool, quiet: bool) -> int:
    """Print a model's card: bands, heads, classes, resolution, licence, training, scores."""
    from geounet.cli.info import show_model

    return show_model(model, allow_pickle=allow_pickle, as_json=as_json, quiet=quiet)


@models.command("export", short_help="Save a model as a package folder with an ONNX graph.")
@click.argument("model", metavar="NAME|FOLDER")
@click.option("--output", "-o", required=True, metavar="FOLDER", help="Where the package goes.")
@click.option("--half", is_flag=True, help="Store convolution weights as float16: half the size.")
@click.option("--allow-pickle", is_flag=True, help="Let the weights be a pickle.")
@click.option("--overwrite", is_flag=True, help="Replace the folder if it is there.")
@output_options
def export(
    model: str, output: str, *, half: bool, allow_pickle: bool, overwrite: bool, as_json: bool, quiet: bool
) -> int:
    """Save a model as a geounet package with an ONNX graph, which is the fastest on a CPU.

    Takes a model of geounet's or a folder of segmentation-models-pytorch's save_pretrained (with geounet.yaml).
    """
    from geounet.model.export import export_graph
    from geounet.model.networks import load_network, state_arrays
    from geounet.model.package import load_model, save_package, serialize
    from geounet.model.receptive import with_field

    package = load_model(model, allow_pickle=allow_pickle)
    network = load_network(package)
    arrays = state_arrays(network, half=half)
    graph = export_graph(network, package.spec, serialize(arrays))
    saved = save_package(output, with_field(package.spec, network), arrays, graph=graph, overwrite=overwrite)
    if as_json:
        show.json_line(
            "done", package=output, name=saved.spec.name, version=saved.spec.version, digest=saved.digest
        )
    elif not quiet:
        click.echo(f"{saved.spec.name} {saved.spec.version} in {output}, digest {saved.digest}")
    return 0
