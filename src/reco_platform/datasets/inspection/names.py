"""Names that columns of user, item, rating, time and others commonly have."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path

ROLES = ("user", "item", "rating", "time", "event", "count", "title", "genres")

NAMES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "user": (
        ("userid", "reviewerid", "customerid", "memberid", "visitorid", "clientid", "personid", "accountid",
         "profileid", "buyerid", "playerid", "viewerid", "listenerid", "subscriberid", "steamid", "uid", "userno",
         "kundennummer", "kundennr", "kundenid", "kundeid", "nutzerid", "benutzerid", "custid", "useridx",
         "shopperid", "usr", "usrid", "userhash", "idcust", "patronid", "readerid", "guestid", "userkey",
         "customerno", "customernumber", "idutilisateur", "idusuario", "clienteid", "idcliente", "usersha1"),
        ("user", "customer", "reviewer", "member", "visitor", "client", "account", "buyer", "player", "viewer",
         "listener", "kunde", "nutzer", "benutzer", "usuario", "utilisateur", "cliente", "reader", "shopper",
         "person", "userguid", "useruuid"),
        ("username", "reviewername", "customername", "kundenname", "nutzername", "benutzername", "nickname",
         "login", "email", "useremail", "screenname", "besteller", "sessionid", "usersession"),
    ),
    "item": (
        ("itemid", "movieid", "filmid", "productid", "bookid", "asin", "sku", "isbn", "articleid", "songid",
         "trackid", "artistid", "businessid", "gameid", "appid", "videoid", "contentid", "animeid", "showid",
         "recipeid", "iid", "artikelnummer", "artikelnr", "artikelid", "produktid", "produktnummer", "produktnr",
         "stockcode", "ean", "gtin", "isbn13", "itemno", "jokeid", "placeid", "venueid", "restaurantid", "beerid",
         "podcastid", "courseid", "jobid", "newsid", "postid", "adid", "offerid", "listingid", "hotelid", "poiid",
         "itemkey", "productcode", "productno", "artmbid", "titleid", "idproducto", "idproduit", "anime",
         "beerbeerid", "itemnumber", "artnr", "prd", "prdid", "prod", "prodid", "itemidx", "itemhash"),
        ("item", "movie", "film", "product", "book", "article", "song", "track", "artist", "business", "game",
         "video", "content", "show", "recipe", "artikel", "produkt", "buch", "ware", "producto", "produit", "joke",
         "beer", "url", "page", "app", "course", "podcast"),
        ("parentasin", "itemname", "productname", "productparent", "movietitle", "gamename"),
    ),
    "rating": (
        ("rating", "stars", "starrating", "overall", "bookrating", "userrating", "reviewrating", "movierating",
         "bewertung", "sterne", "myrating", "ratingvalue", "ratings", "reviewoverall", "overallrating", "userscore"),
        ("score", "grade", "note", "points", "punkte", "vote", "votes", "preference", "reviewscore", "punktzahl",
         "liked", "like", "thumbs", "thumbsup", "feedback", "sentiment", "recommended", "isrecommended",
         "recommend", "voted", "voteup", "opinion", "reaction", "schulnote", "puntuacion", "calificacion",
         "disliked"),
        ("value", "wert", "label", "target"),
    ),
    "time": (
        ("timestamp", "ratingtimestamp", "eventtime", "unixreviewtime", "unixtime", "ratedat", "reviewtime",
         "createdat", "datetime", "zeitstempel", "ts", "eventtimestamp", "reviewdate", "purchasedate", "orderdate",
         "invoicedate", "purchasedat", "orderedat", "timecreated", "timestampcreated", "bestelldatum", "kaufdatum",
         "bewertungsdatum", "playedat", "watchedat", "listenedat", "clickedat", "dateadded", "time", "date",
         "datum", "zeit", "zeitpunkt", "when", "uhrzeit", "fecha", "bestelltam", "bewertetam", "eventdate",
         "ratingdate", "createdate", "creationdate", "tmsp", "unix", "epoch", "unixtimestamp", "timestampms", "day",
         "tag"),
        ("created", "updatedat", "dateupdated", "lastmodified", "modified", "updated", "readat", "startedat",
         "submitted", "submittedat", "datecreated", "dateread", "reviewtimestamp"),
    ),
    "event": (
        ("event", "eventtype", "action", "behavior", "behaviour", "interaction", "interactiontype", "actiontype",
         "ereignis", "aktion", "activity", "behaviortype", "behaviourtype", "eventname", "activitytype", "verb",
         "ereignistyp"),
        ("type", "typ", "kind"),
    ),
    "count": (
        ("plays", "playcount", "count", "quantity", "qty", "menge", "anzahl", "hours", "playtime", "listens",
         "views", "clicks", "weight", "listencount", "watchtime", "hoursplayed", "playtimeforever", "stueck",
         "stuck", "amount", "playtimehours", "stunden", "frequency", "duration", "times"),
    ),
    "title": (
        ("title", "booktitle", "movietitle", "originaltitle", "productname", "productitle", "producttitle",
         "itemname", "artikelname", "produktname", "titel", "artikelbezeichnung", "itemtitle", "filmtitle",
         "gamename", "songname", "trackname", "artistname", "bookname", "moviename", "artname"),
        ("name", "bezeichnung", "description", "beschreibung", "nombre", "titulo", "titre", "nom"),
    ),
    "genres": (
        ("genres", "genre", "categories", "category", "kategorie", "kategorien", "warengruppe", "categoria",
         "productcategory", "maincategory", "categoryname", "categorycode"),
        ("tags", "shelves", "popularshelves", "labels", "group", "type", "categoryid", "keywords", "department"),
    ),
}  # fmt: skip
"""Names by role, in groups from the clearest to the weakest; without blanks, signs and case."""

_ORDER = {role: [name for group in groups for name in group] for role, groups in NAMES.items()}
POINTS = (3, 2, 1)
"""Of the groups, from the clearest."""


def dataset_name(place: Path) -> str:
    """A name for the data set in a folder: the folder's, as far as names allow."""
    text = re.sub(r"[^\w .+-]", "-", Path(os.path.abspath(place)).name).lstrip("_ .+-")[:80].rstrip()  # noqa: PTH100
    return text or "mine"


def plain(name: str) -> str:
    """A name without case, accents, blanks and signs: `User-ID` and `user_id` are `userid`."""
    text = name.strip().lower().replace("ß", "ss").replace("ü", "ue").replace("ö", "oe").replace("ä", "ae")
    text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]", "", text)


def points(role: str, name: str) -> float:
    """How clearly a name is one of a role: 3 for the clearest names, 0 for others; earlier ones count a little more."""
    word = plain(name)
    for level, group in enumerate(NAMES[role]):
        if word in group:
            return POINTS[level] - 0.5 * _ORDER[role].index(word) / len(_ORDER[role])
    last = plain(re.split(r"[\s_.:/-]+", name.strip())[-1])
    if last in NAMES[role][0] and last != word:
        return 0.6
    return (
        0.5 if role in ("user", "item") and any(word.startswith(one) for one in NAMES[role][1] if len(one) > 3) else 0
    )


def known_name(name: str) -> str | None:
    """The role that a name is one of; None if it is of none."""
    found = max(ROLES, key=lambda role: points(role, name))
    return found if points(found, name) >= 1 else None
