"""The products' pictures by name: what ``picture`` in products.toml may say."""

from __future__ import annotations

from collections.abc import Callable

from . import camp, house, kit, table, wear
from .pen import Tint

DRAWINGS: dict[str, Callable[[Tint], str]] = {
    drawing.__name__: drawing
    for drawing in (
        wear.jacket,
        wear.parka,
        wear.raincoat,
        wear.sweater,
        wear.trousers,
        wear.beanie,
        wear.mittens,
        wear.socks,
        wear.boot,
        wear.wellington,
        wear.felt_slipper,
        kit.daypack,
        kit.trek_pack,
        kit.roll_top,
        kit.headlamp,
        kit.axe,
        kit.knife,
        kit.compass,
        kit.snowshoe,
        kit.guide_book,
        camp.tent,
        camp.tarp,
        camp.sleeping_bag,
        camp.mat,
        camp.stove,
        camp.mug,
        camp.flask,
        camp.bottle,
        camp.lantern,
        camp.hammock,
        camp.camp_chair,
        house.blanket,
        house.cushion,
        house.rug,
        house.towel,
        house.pendant,
        house.table_lamp,
        house.candles,
        house.stool,
        house.armchair,
        house.log_basket,
        house.broom,
        table.bowls,
        table.kettle,
        table.teapot,
        table.board,
        table.vase,
        table.soap,
    )
}
