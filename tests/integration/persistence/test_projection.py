from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    computed_field,
)
from pydantic.alias_generators import to_camel
from sqlalchemy import (
    JSON,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Select,
    func,
    insert,
    select,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    Mapped,
    column_property,
    composite,
    declared_attr,
    mapped_column,
    relationship,
    selectinload,
    synonym,
)

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Database, UTCDateTime, UUIDPrimaryKey
from fastapi_baseline.persistence.errors import HiddenColumnError
from fastapi_baseline.persistence.policy import Policy
from fastapi_baseline.persistence.reading.reads import Reads
from fastapi_baseline.persistence.writing.soft_delete import SoftDelete

StatementLog = Callable[[], AbstractContextManager[list[str]]]

_MOMENT = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)


class Keyword(Base):
    __tablename__ = "projection_keyword"
    word: Mapped[str] = mapped_column(primary_key=True)


class Tagging(Base):
    __tablename__ = "projection_tagging"
    song_id: Mapped[UUID] = mapped_column(ForeignKey("projection_song.id"), primary_key=True)
    word: Mapped[str] = mapped_column(ForeignKey("projection_keyword.word"), primary_key=True)
    rank: Mapped[int] = mapped_column(default=0)


class Following(Base):
    __tablename__ = "projection_following"
    fan_id: Mapped[UUID] = mapped_column(ForeignKey("projection_band.id"), primary_key=True)
    star_id: Mapped[UUID] = mapped_column(ForeignKey("projection_band.id"), primary_key=True)
    since: Mapped[int]


class Band(Base, UUIDPrimaryKey):
    __tablename__ = "projection_band"
    name: Mapped[str]
    secret: Mapped[str] = mapped_column(default="s3cret")
    city: Mapped[str | None]
    songs: Mapped[list["Song"]] = relationship(back_populates="band")
    stars: Mapped[list["Band"]] = relationship(
        secondary="projection_following",
        primaryjoin="Band.id == Following.fan_id",
        secondaryjoin="Band.id == Following.star_id",
        order_by="Following.since",
        viewonly=True,
    )


class Verse(Base, SoftDelete):
    __tablename__ = "projection_verse"
    song_id: Mapped[UUID] = mapped_column(ForeignKey("projection_song.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(default="la")
    lines: Mapped[list["VerseLine"]] = relationship(order_by="VerseLine.place.desc()")


class VerseLine(Base, UUIDPrimaryKey):
    __tablename__ = "projection_line"
    song_id: Mapped[UUID]
    number: Mapped[int]
    place: Mapped[int]
    __table_args__ = (
        ForeignKeyConstraint(
            ["song_id", "number"], ["projection_verse.song_id", "projection_verse.number"]
        ),
    )


class Money:
    def __init__(self, amount: Decimal, currency: str) -> None:
        self.amount, self.currency = amount, currency

    def __composite_values__(self) -> tuple[Decimal, str]:
        return self.amount, self.currency


class Song(Base, UUIDPrimaryKey):
    __tablename__ = "projection_song"
    title: Mapped[str] = mapped_column("song_title")
    seconds: Mapped[int] = mapped_column(default=200)
    lyrics: Mapped[str] = mapped_column(default="...")
    recorded: Mapped[datetime] = mapped_column(UTCDateTime, default=_MOMENT)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    band_id: Mapped[UUID | None] = mapped_column(ForeignKey("projection_band.id"))
    original_id: Mapped[UUID | None] = mapped_column(ForeignKey("projection_song.id"))
    amount: Mapped[Decimal] = mapped_column(default=Decimal(1))
    currency: Mapped[str] = mapped_column(default="EUR")
    price: Mapped[Money] = composite("amount", "currency")
    name = synonym("title")
    band: Mapped[Band | None] = relationship(back_populates="songs")
    verses: Mapped[list[Verse]] = relationship()
    original: Mapped["Song | None"] = relationship(remote_side="Song.id", back_populates="covers")
    covers: Mapped[list["Song"]] = relationship(
        back_populates="original", order_by="Song.title.desc()"
    )
    keywords: Mapped[list[Keyword]] = relationship(
        secondary="projection_tagging", order_by="Tagging.rank", viewonly=True
    )
    by_word: Mapped[list[Keyword]] = relationship(secondary="projection_tagging", viewonly=True)

    @declared_attr
    @classmethod
    def length(cls) -> Mapped[int]:
        return column_property(func.length(cls.title))

    @hybrid_property
    def minutes(self) -> int:
        return self.seconds // 60

    @minutes.inplace.expression
    @classmethod
    def _minutes(cls) -> ColumnElement[int]:
        return cls.seconds // 60

    @hybrid_property
    def shout(self) -> str:
        return self.title.upper()

    @property
    def shown(self) -> str:
        return f"«{self.title}»"


class Songs(Reads[Song]):
    loads = {"detail": [selectinload(Song.band)]}  # noqa: RUF012


class Bands(Reads[Band]):
    pass


class SongOut(BaseModel):
    id: UUID
    title: str
    minutes: int


class BandOut(BaseModel):
    name: str


class VerseOut(BaseModel):
    number: int
    text: str


class SongDetail(BaseModel):
    title: str
    band: BandOut | None
    verses: list[VerseOut]


async def _store(database: Database, *entities: Any) -> None:
    async with database.transaction() as session:
        session.add_all(entities)


async def _only(database: Database, schema: type[Any], **keywords: Any) -> Any:
    async with database.read_transaction() as session:
        [item] = await Songs(session).list(as_=schema, **keywords)
        return item


async def test_selects_only_the_columns_that_a_schema_needs(
    database: Database, statements: StatementLog
) -> None:
    song = Song(title="Yesterday", seconds=125)
    await _store(database, song)

    async with database.transaction() as session:
        with statements() as sent:
            listed = await Songs(session).list(as_=SongOut)
        assert [*session] == []

    assert listed == [SongOut(id=song.id, title="Yesterday", minutes=2)]
    [statement] = sent
    columns = statement.partition("FROM")[0]
    assert "song_title" in columns
    for name in ("lyrics", "recorded", "facts", "band_id", "amount"):
        assert name not in columns


async def test_reads_relations_with_one_statement_each_and_only_their_columns(
    database: Database, statements: StatementLog
) -> None:
    for number in range(20):
        verses = [Verse(number=2, text="b"), Verse(number=1, text="a")]
        await _store(database, Song(title=f"{number}", band=Band(name=f"B{number}"), verses=verses))
    await _store(database, Song(title="alone"))

    async with database.transaction() as session:
        with statements() as sent:
            listed = await Songs(session).list(as_=SongDetail)
        assert [*session] == []

    verses = [VerseOut(number=1, text="a"), VerseOut(number=2, text="b")]
    assert listed[:-1] == [
        SongDetail(title=f"{number}", band=BandOut(name=f"B{number}"), verses=verses)
        for number in range(20)
    ]
    assert listed[-1] == SongDetail(title="alone", band=None, verses=[])
    assert len(sent) == 3
    assert not any("secret" in statement for statement in sent)


async def test_reads_relations_of_relations(database: Database, statements: StatementLog) -> None:
    class LineOut(BaseModel):
        place: int

    class VerseWithLines(BaseModel):
        number: int
        lines: list[LineOut]

    class SongWithVerses(BaseModel):
        title: str
        verses: tuple[VerseWithLines, ...]

    class BandWithSongs(BaseModel):
        name: str
        songs: list[SongWithVerses]

    lines = [VerseLine(place=place) for place in (1, 3, 2)]
    song = Song(title="A", verses=[Verse(number=1, lines=lines), Verse(number=2)])
    await _store(database, Band(name="Band", songs=[song, Song(title="B")]))

    async with database.transaction() as session:
        with statements() as sent:
            [band] = await Bands(session).list(as_=BandWithSongs)

    assert [song.title for song in band.songs] == ["A", "B"]
    [first, second] = band.songs[0].verses
    assert [line.place for line in first.lines] == [3, 2, 1]
    assert (second.lines, band.songs[1].verses) == ([], ())
    assert len(sent) == 4


async def test_reads_a_relation_of_a_model_to_itself(database: Database) -> None:
    class Cover(BaseModel):
        title: str

    class Family(BaseModel):
        title: str
        original: Cover | None
        covers: list[Cover]

    original = Song(title="O")
    await _store(database, original)
    await _store(database, *(Song(title=title, original_id=original.id) for title in "ACB"))

    async with database.read_transaction() as session:
        [family, *covers] = await Songs(session).list(as_=Family)

    assert family.original is None
    assert [cover.title for cover in family.covers] == ["C", "B", "A"]
    assert [cover.original for cover in covers] == [Cover(title="O")] * 3


async def test_reads_a_relation_by_way_of_another_table_in_its_order(database: Database) -> None:
    class Word(BaseModel):
        word: str

    class Tagged(BaseModel):
        keywords: list[Word]
        by_word: list[Word]

    song = Song(title="A")
    await _store(database, song, *(Keyword(word=word) for word in "xyz"))
    ranks = zip("xyz", (2, 3, 1), strict=True)
    await _store(
        database, *(Tagging(song_id=song.id, word=word, rank=rank) for word, rank in ranks)
    )

    tagged = await _only(database, Tagged)

    assert [keyword.word for keyword in tagged.keywords] == ["z", "x", "y"]
    assert [keyword.word for keyword in tagged.by_word] == ["x", "y", "z"]


async def test_reads_a_relation_to_itself_by_way_of_another_table(database: Database) -> None:
    class Fan(BaseModel):
        name: str
        stars: list[BandOut]

    bands = [Band(name=name) for name in "ABC"]
    await _store(database, *bands)
    fan, *stars = bands
    followings = [
        Following(fan_id=fan.id, star_id=star.id, since=-place) for place, star in enumerate(stars)
    ]
    await _store(database, *followings)

    async with database.read_transaction() as session:
        [first, *others] = await Bands(session).list(as_=Fan)

    assert [star.name for star in first.stars] == ["C", "B"]
    assert [other.stars for other in others] == [[], []]


async def test_does_not_show_relations_that_are_softly_deleted(database: Database) -> None:
    verses = [Verse(number=1), Verse(number=2, deleted_at=_MOMENT)]
    await _store(database, Song(title="A", verses=verses))

    async with database.read_transaction() as session:
        [present] = await Songs(session).list(as_=SongDetail)
        [everything] = await Songs(session).with_deleted().list(as_=SongDetail)

    assert [verse.number for verse in present.verses] == [1]
    assert [verse.number for verse in everything.verses] == [1, 2]


async def test_reads_relations_of_a_thousand_rows_at_a_time(
    database: Database, statements: StatementLog
) -> None:
    band = Band(name="B")
    await _store(database, band)
    rows = [{"title": f"{number}", "band_id": band.id} for number in range(1_001)]
    async with database.transaction() as session:
        await session.execute(insert(Song), rows)

        with statements() as sent:
            listed = await Songs(session).list(as_=SongDetail)

    assert [song.band for song in listed] == [BandOut(name="B")] * 1_001
    assert len(sent) == 5


async def test_knows_every_kind_of_attribute_that_can_be_selected(database: Database) -> None:
    class Price(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        amount: Decimal
        currency: str

    class Everything(BaseModel):
        name: str
        length: int
        minutes: int
        price: Price
        recorded: datetime
        facts: dict[str, int]

    await _store(database, Song(title="Help", seconds=180, facts={"takes": 12}))

    assert await _only(database, Everything) == Everything(
        name="Help",
        length=4,
        minutes=3,
        price=Price(amount=Decimal(1), currency="EUR"),
        recorded=_MOMENT,
        facts={"takes": 12},
    )


async def test_knows_aliases(database: Database) -> None:
    class Wire(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel)
        band_id: UUID | None
        title: str

    class WireOrName(Wire):
        model_config = ConfigDict(populate_by_name=True)

    class ByName(Wire):
        model_config = ConfigDict(validate_by_alias=False, validate_by_name=True)

    class Other(BaseModel):
        label: str = Field(validation_alias="title")
        length: int = Field(alias="seconds")
        words: str = Field(validation_alias=AliasChoices("text", AliasPath("no", "such"), "lyrics"))
        shown: str = Field(serialization_alias="display", validation_alias="name")

    band = Band(name="B")
    await _store(database, Song(title="Help", seconds=9, lyrics="x", band=band))

    for schema in (Wire, WireOrName, ByName):
        item = await _only(database, schema)
        assert (item.band_id, item.title) == (band.id, "Help")
    other = await _only(database, Other)
    assert (other.label, other.length, other.words, other.shown) == ("Help", 9, "x", "Help")


async def test_flattens_relations_by_paths_of_aliases(
    database: Database, statements: StatementLog
) -> None:
    class Flat(BaseModel):
        title: str
        band_name: str = Field(validation_alias=AliasPath("band", "name"))
        city: str | None = Field(validation_alias=AliasPath("band", "city"))
        takes: int = Field(validation_alias=AliasPath("facts", "takes"))
        band: BandOut

    await _store(database, Song(title="A", band=Band(name="B", city="C"), facts={"takes": 3}))

    async with database.transaction() as session:
        with statements() as sent:
            [flat] = await Songs(session).list(as_=Flat)

    assert (flat.band_name, flat.city, flat.takes, flat.band.name) == ("B", "C", 3, "B")
    assert len(sent) == 2


async def test_keeps_defaults_of_fields_that_the_model_does_not_have(database: Database) -> None:
    class Extended(BaseModel):
        model_config = ConfigDict(extra="forbid")
        title: str
        kind: str = "song"
        marks: list[str] = []

        @computed_field
        @property
        def loud(self) -> str:
            return f"{self.title}!"

    await _store(database, Song(title="Help"))

    item = await _only(database, Extended)

    assert item.model_dump() == {"title": "Help", "kind": "song", "marks": [], "loud": "Help!"}


@pytest.mark.parametrize("attribute", ["nothing", "shout", "shown", "metadata", "registry"])
async def test_names_the_required_field_that_the_model_has_no_column_for(
    database: Database, attribute: str
) -> None:
    class Broken(BaseModel):
        field: str = Field(validation_alias=attribute)

    async with database.read_transaction() as session:
        with pytest.raises(ConfigurationError) as caught:
            await Songs(session).list(as_=Broken)

    for words in ("Broken.field", "Song", "column_property", "default", "load="):
        assert words in str(caught.value)


async def test_names_a_field_of_a_relation_that_its_model_has_no_column_for(
    database: Database,
) -> None:
    class BrokenBand(BaseModel):
        fans: int

    class Broken(BaseModel):
        band: BrokenBand

    class BrokenPath(BaseModel):
        fans: int = Field(validation_alias=AliasPath("band", "fans"))

    async with database.read_transaction() as session:
        with pytest.raises(ConfigurationError, match=r"BrokenBand\.fans.*Band has no column"):
            await Songs(session).list(as_=Broken)
        with pytest.raises(ConfigurationError, match=r"BrokenPath\.fans.*Band has no column"):
            await Songs(session).list(as_=BrokenPath)


async def test_says_what_to_do_with_a_relation_without_a_schema(database: Database) -> None:
    class Broken(BaseModel):
        keywords: list[str]

    class ByPlace(BaseModel):
        first: int = Field(validation_alias=AliasPath("verses", 0, "number"))

    async with database.read_transaction() as session:
        for schema in (Broken, ByPlace):
            with pytest.raises(ConfigurationError, match="load="):
                await Songs(session).list(as_=schema)


async def test_says_what_to_do_with_a_schema_that_contains_itself(database: Database) -> None:
    class Tree(BaseModel):
        title: str
        covers: list["Tree"]

    async with database.read_transaction() as session:
        with pytest.raises(ConfigurationError, match="contains itself"):
            await Songs(session).list(as_=Tree)


async def test_reads_entities_for_a_schema_with_a_load_plan(
    database: Database, statements: StatementLog
) -> None:
    class FromEntity(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        shown: str
        shout: str
        band: BandOut

    await _store(database, Song(title="Help", band=Band(name="B")))

    async with database.transaction() as session:
        with statements() as sent:
            [item] = await Songs(session).list(as_=FromEntity, load="detail")

    assert item == FromEntity(shown="«Help»", shout="HELP", band=BandOut(name="B"))
    assert len(sent) == 2


async def test_a_value_that_the_schema_does_not_take_is_an_error(database: Database) -> None:
    class Short(BaseModel):
        title: Annotated[str, Field(max_length=2)]

    await _store(database, Song(title="Help"))

    with pytest.raises(ValidationError):
        await _only(database, Short)


async def test_a_statement_may_join(database: Database) -> None:
    class Joined(Songs):
        def of_band(self, name: str) -> Select[Song]:
            return self.select().join(Song.band).where(Band.name == name)

    for name in "XY":
        await _store(database, Song(title=f"by {name}", band=Band(name=name)))

    async with database.read_transaction() as session:
        songs = Joined(session)
        listed = await songs.list(as_=SongDetail, statement=songs.of_band("Y"))

    assert [song.title for song in listed] == ["by Y"]


async def test_a_hidden_column_is_not_shown_by_way_of_a_relation_either(
    database: Database,
) -> None:
    class Cover(BaseModel):
        lyrics: str

    class WithCovers(BaseModel):
        covers: list[Cover]

    class WithLength(BaseModel):
        length: int

    await _store(database, Song(title="A"))

    async with database.read_transaction() as session:
        songs = Songs(session).restricted(Policy(hidden=[Song.lyrics, Song.title]))

        with pytest.raises(HiddenColumnError):
            await songs.list(as_=WithCovers)
        with pytest.raises(HiddenColumnError):
            await songs.list(as_=WithCovers, load=selectinload(Song.covers))
        with pytest.raises(HiddenColumnError):
            await songs.list(as_=WithLength)
        with pytest.raises(HiddenColumnError):
            await songs.list(as_=WithLength, load="detail")


async def test_loads_entities_whole_after_they_were_projected(database: Database) -> None:
    song = Song(title="A", verses=[Verse(number=1)])
    await _store(database, song)

    async with database.read_transaction() as session:
        songs = Songs(session)
        await songs.list(as_=SongDetail)
        loaded = await songs.get(song.id)
        [verse] = (await session.scalars(select(Verse))).all()

        assert (loaded.lyrics, verse.text) == ("...", "la")
