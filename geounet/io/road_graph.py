"""The lines and nodes of a results folder as a graph to route on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from geounet.errors import SceneError

if TYPE_CHECKING:
    import networkx


def road_graph(lines: str | Path, nodes: str | Path | None = None) -> networkx.MultiGraph:
    """Centre-lines as a networkx MultiGraph, in which nodes are numbered by their ``id``.

    Args:
        lines: ``<head>_lines`` in any format that geounet writes, or a GeoPackage with both layers.
        nodes: ``<head>_nodes``; None: the file of that name beside the lines.

    Nodes have ``x``, ``y`` (of the file's CRS) and ``degree``. Edges have the attributes of their lines and the
    ``geometry``, from the node ``from_node`` to the node ``to_node``, and ``id`` as their key. Lengths are metres:
    ``networkx.shortest_path(graph, a, b, weight="length_m")``.

    Raises:
        SceneError: a file cannot be read, or is not one of these layers.
    """
    import networkx

    lines = Path(lines)
    nodes = lines.with_name(_nodes_beside(lines)) if nodes is None else Path(nodes)
    graph = networkx.MultiGraph()
    for row in _rows(nodes, "_nodes", ("id", "degree")):
        about = {name: row[name] for name in ("degree", "cut") if name in row}
        graph.add_node(row["id"], x=row["geometry"].x, y=row["geometry"].y, **about)
    for row in _rows(lines, "_lines", ("id", "length_m", "from_node", "to_node")):
        graph.add_edge(row["from_node"], row["to_node"], key=row["id"], **row)
    return graph


def _nodes_beside(lines: Path) -> str:
    if _layer(lines, "_nodes") is not None:
        return lines.name
    stem = lines.stem
    if not stem.endswith("_lines"):
        raise SceneError(f"{lines} is not called <head>_lines; name the file with its nodes too (nodes=)")
    return f"{stem.removesuffix('_lines')}_nodes{lines.suffix}"


def _layer(path: Path, ending: str) -> str | None:
    """The layer of a GeoPackage whose name ends so, if there is one. SceneError where there are several."""
    if path.suffix.lower() != ".gpkg" or not path.is_file():
        return None
    import pyogrio

    try:
        found = [str(name) for name in pyogrio.list_layers(path)[:, 0] if str(name).endswith(ending)]
    except RuntimeError as error:
        raise SceneError(f"{path} cannot be read as vectors: {error}") from error
    if len(found) > 1:
        raise SceneError(
            f"{path} has several layers of that kind ({', '.join(found)}); give one in a file of its own"
        )
    return found[0] if found else None


def _rows(path: Path, ending: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    import geopandas

    if not path.is_file():
        raise SceneError(f"{path} is not there; geounet vectorize --lines writes it")
    try:
        if path.suffix == ".parquet":
            frame = geopandas.read_parquet(path)
        else:
            frame = geopandas.read_file(path, layer=_layer(path, ending))
    except (OSError, RuntimeError, ValueError) as error:
        raise SceneError(f"{path} cannot be read as vectors: {error}") from error
    missing = [name for name in needed if name not in frame.columns]
    if missing and len(frame):
        raise SceneError(f"{path} has no {', '.join(missing)}: it is not a layer of centre-lines or of their nodes")
    return [dict(row) for row in frame.to_dict("records")]
