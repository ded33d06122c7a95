"""Texts of generated data: titles, genres and tags, and the templates of dirty rows."""

from __future__ import annotations

from collections.abc import Mapping

# Each dirty row is made from another clean row. `later` is a second after its timestamp, so that only duplicates have
# the key (user, movie, timestamp) of a clean row; `other` is a different rating; `spare` is an unused id.
RATING_FAULTS: Mapping[str, tuple[str, ...]] = {
    "null_user": (",{movie},{rating},{later}",),
    "null_movie": ("{user},,{rating},{later}",),
    "null_rating": ("{user},{movie},,{later}",),
    "null_timestamp": ("{user},{movie},{rating},",),
    "rating_out_of_range": (
        "{user},{movie},0.0,{later}",
        "{user},{movie},5.5,{later}",
        "{user},{movie},-1,{later}",
        "{user},{movie},9.5,{later}",
    ),
    "rating_not_a_number": ("{user},{movie},four,{later}", '{user},{movie},"3,5",{later}'),
    "timestamp_not_a_number": ("{user},{movie},{rating},yesterday",),
    "exact_duplicate": ("{user},{movie},{rating},{timestamp}",),
    "conflicting_duplicate": ("{user},{movie},{other},{timestamp}",),
    "unparsable": (
        "{user},{movie}",
        "{user},{movie},{rating},{later},surplus",
        "#### disk error near {later} ####",
    ),
    "several_rules": (
        ",{movie},7.5,{later}",
        "{user},,,{later}",
        ",,0.0,{later}",
        ",{movie},{rating},",
    ),
}
MOVIE_FAULTS: Mapping[str, tuple[str, ...]] = {
    "null_movie": (",{title},{genres}",),
    "null_title": ("{spare},,{genres}",),
    "duplicate_movie": ("{movie},Another Film of the Same Number ({movie}),{genres}",),
    "unparsable": ("{spare}", "{spare},{title},{genres},surplus", "#### disk error near {spare} ####"),
}
TAG_FAULTS: Mapping[str, tuple[str, ...]] = {
    "null_user": (",{movie},{tag},{later}",),
    "null_movie": ("{user},,{tag},{later}",),
    "null_tag": ("{user},{movie},,{later}",),
    "null_timestamp": ("{user},{movie},{tag},",),
    "exact_duplicate": ("{user},{movie},{tag},{timestamp}",),
    "unparsable": ("{user},{movie}", "{user},{movie},{tag},{later},surplus", "#### disk error near {later} ####"),
}
FAULTS = {"ratings": RATING_FAULTS, "movies": MOVIE_FAULTS, "tags": TAG_FAULTS}

NO_GENRES = "(no genres listed)"
GENRES = (  # noqa: SIM905 - one quoted word a line would be long
    "Action Adventure Animation Children Comedy Crime Documentary Drama Fantasy Film-Noir Horror IMAX Musical "
    "Mystery Romance Sci-Fi Thriller War Western"
).split()
TAGS = (
    "atmospheric",
    "based on a book",
    "Based on a Book",
    "beautifully filmed",
    "boring",
    "café scenes",
    "clever",
    "dark",
    "ensemble cast",
    "funny",
    "good soundtrack",
    "long, but worth it",
    "must see",
    "overrated",
    "plot twist",
    'so-called "classic"',
    "quirky",
    "sad ending",
    "slow",
    "strong female lead",
    "surreal",
    "thought-provoking",
    "time travel",
    "visually striking",
)
PATTERNS = (
    "{adjective} {noun} of {place}, The",
    "The {noun} and the {adjective} Road to {place}",
    "{place}: {adjective} {noun}",
    "A {adjective} {noun} in {place}",
    "{adjective} {noun}, or How We Left {place}",
    '"{adjective} {noun}" at {place}',
)
ADJECTIVES = (  # noqa: SIM905 - one quoted word a line would be long
    "Amber Borrowed Brass Broken Careful Clockwork Cold Copper Crooked Distant Electric Empty Faded Fearless "
    "Forgotten Frozen Gentle Hollow Honest Hungry Idle Ivory Last Lonely Loud Midnight Modest Narrow Naïve "
    "Northern Paper Patient Pale Quiet Reluctant Restless Rusty Salted Scarlet Second Silver Sleepless Stubborn "
    "Sudden Tender Thirteenth Unlikely Velvet Wandering Weary"
).split()
NOUNS = (  # noqa: SIM905 - one quoted word a line would be long
    "Accordion Afternoon Anchor Archivist Baker Balcony Bridge Caravan Cartographer Cathedral Chess-Player Clerk "
    "Comet Cousin Daughter Detective Dinner Engineer Falcon Ferry Fiancée Fountain Gardener Ghost Harvest Horizon "
    "Inheritance Island Juror Ladder Lantern Lighthouse Locksmith Mapmaker Mirror Neighbour Orchard Painter "
    "Passenger Piano Postman Quarry Rehearsal River Secret Shepherd Station Summer Tailor Telegram Tide Umbrella "
    "Violin Voyage Waltz Winter Witness Zeppelin"
).split()
PLACES = (  # noqa: SIM905 - one quoted word a line would be long
    "Asunción Bergen Bilbao Córdoba Daventry Elmwood Fairhaven Göteborg Harrow Ithaca Jaipur Kraków Lisbon Málaga "
    "Nairobi Odessa Pécs Quito Reykjavík Salford Tromsø Utrecht Valparaíso Whitby Zürich"
).split()
