"""What GDAL's vector drivers are told for the time of a write, and only for that."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pyogrio
import pytest

from geounet.io import ogr

DATE = "OGR_CURRENT_DATE"


@pytest.mark.parametrize("own", [None, "1999-12-31T00:00:00.000Z"])
def test_the_date_is_given_back_by_the_last_of_several_writers(own: str | None) -> None:
    """Heads are written side by side; the first to begin is not the last to end."""
    pyogrio.set_gdal_config_options({DATE: own})
    begun, ended = threading.Event(), threading.Event()

    def first() -> None:
        with ogr._same_day():
            begun.set()
            assert second_is_inside.wait(60)
        ended.set()

    second_is_inside = threading.Event()
    try:
        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(first)
            assert begun.wait(60)
            with ogr._same_day():
                second_is_inside.set()
                assert ended.wait(60)
                assert pyogrio.get_gdal_config_option(DATE) == ogr._ANY_DAY
            writer.result()
        assert pyogrio.get_gdal_config_option(DATE) == own
    finally:
        pyogrio.set_gdal_config_options({DATE: None})
