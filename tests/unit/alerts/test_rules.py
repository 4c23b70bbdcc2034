"""What may stand in a rule's file and in the channels' file, and what is said of what may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.alerts.loader import alert_files, load_alert, load_alerts
from bus.errors import ConfigurationError
from bus.settings import ROOT, AlertsSettings, Settings
from consumers.alerts.channels import Webhook, load_channels, unknown
from tests.unit.alerts.world import indicators, rule, shipped

GOOD = """
id = "dlh.test"
title = { id = "Uji", en = "Test" }
indicator = "dlh.sensor_max_hour"
severity = "info"
recipients = ["a"]
when = { kind = "threshold", above = 3 }
text = { id = "{station}: {value} {unit}", en = "{station}: {value}" }
"""


def said(folder: Path, old: str, new: str, *known: str) -> list[str]:
    """What is wrong with the good file when one thing in it is another."""
    assert old in GOOD
    path = folder / "dlh.test.toml"
    path.write_text(GOOD.replace(old, new))
    _, problems = load_alert(path, indicators(*(known or ("dlh.sensor_max_hour", "bpbd.merapi_level_now", "dpmptsp.within_sla_day"))))
    return [str(problem).removeprefix(f"{path}: ").removeprefix(str(path)) for problem in problems]


def test_the_good_one_is_good(tmp_path: Path) -> None:
    assert said(tmp_path, "info", "danger") == []


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ('"dlh.sensor_max_hour"', '"dlh.sensor_max_our"', "there is no indicator 'dlh.sensor_max_our'; near: dlh.sensor_max_hour"),
        ("severity", "seferity", "unknown key; did you mean 'severity'?"),
        ('"info"', '"fatal"', "severity: Input should be 'info', 'warning' or 'danger'; received 'fatal'"),
        ("above = 3", "over = 3", "when.over: unknown key; did you mean 'above'? (allowed: above, below, clear, kind, steps)"),
        ("above = 3", "above = 3, below = 1", "when: say either above or below, and not both"),
        ("above = 3", 'above = "much"', "when.above: 'much' is not a number"),
        ('"threshold", above = 3', '"treshold"', "when: Input tag 'treshold'"),
        ("above = 3", "above = 3, clear = 4", "when.clear: is above where it begins (3)"),
        ("above = 3", "above = 3, steps = [5, 4]", "when.steps: each goes further than the one before it; received 3, 5, 4"),
        ("{station}: {value} {unit}", "{stasiun}", "text.id: there is no {stasiun}; did you mean {station}?"),
        ("{station}: {value} {unit}", "{value:.2f}", "text.id: {value} is written without form or conversion"),
        ("{station}: {value} {unit}", "{value", "text.id: is no template"),
        ('"threshold", above = 3', '"missing", silent_for = "soon"', "when.silent_for: 'soon' is not a time span"),
        ('"threshold", above = 3', '"missing", reporters = 1', "after: is required"),
        ('"threshold", above = 3', '"sla", warn = 2, limit = 3', "when.kind: dlh.sensor_max_hour is of kind max; a standard is kept by"),
        ('recipients = ["a"]', 'recipients = ["a", "a"]', "recipients: named more than once: a"),
        ('recipients = ["a"]', 'recipients = ["a@b.c"]', "recipients.0: String should match pattern"),
        ('recipients = ["a"]', 'per = ["stasion"]', "per.stasion: dlh.sensor_max_hour has no dimension 'stasion'; did you mean 'station'?"),
        ('recipients = ["a"]', 'level = "desa"', "level: dlh.sensor_max_hour has no dimension 'region'"),
        ('recipients = ["a"]', 'level = "dasa"', "level: 'dasa' is no level of regions; did you mean 'desa'?"),
        ('recipients = ["a"]', 'after = "9d"', "after: '9d' is not before fresh = '7d'"),
        ('"dlh.test"', '"dlh.other"', "id: 'dlh.other' must equal the file's name 'dlh.test'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, wanted: str) -> None:
    problems = said(tmp_path, old, new)
    assert any(wanted in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("of", "when", "wanted"),
    [
        ("bpbd.merapi_level_now", '{ kind = "change", rise = 1 }', "has no window before it"),
        ("dpmptsp.within_sla_day", '{ kind = "sla", warn = 0.8, limit = 0.9 }', "less is worse, so warn is above limit"),
        ("diskominfo.age_p90_agency_now", '{ kind = "sla", warn = 9, limit = 8 }', "more is worse, so warn is below limit"),
        ("diskominfo.age_p90_agency_now", '{ kind = "threshold", above = 9 }', "is required: the rows of .* are rolled up"),
        ("mcd.register", '{ kind = "threshold", above = 9 }', "nobody is told of those"),
    ],
)
def test_what_an_indicator_cannot_be_watched_for(tmp_path: Path, of: str, when: str, wanted: str) -> None:
    with pytest.raises(AssertionError, match=wanted):
        rule(tmp_path, when, of=of)


def test_what_is_excluded_is_nothing_to_announce(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nobody may announce it"):
        rule(tmp_path, '{ kind = "threshold", above = 9 }', "serta_merta = true", 'level = "desa"', of="dinkes.stunting_month")


def test_all_problems_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    for base, broken in (("one", "info"), ("two", "severity")):
        folder = tmp_path / base / "alerts"
        folder.mkdir(parents=True)
        (folder / f"dlh.{base}.toml").write_text(GOOD.replace("dlh.test", f"dlh.{base}").replace(broken, "x"))
        (folder / "dlh.same.toml").write_text(GOOD.replace("dlh.test", "dlh.same"))
    with pytest.raises(ConfigurationError) as caught:
        load_alerts([tmp_path / "one", tmp_path / "two"], indicators("dlh.sensor_max_hour"))
    text = str(caught.value)
    assert "dlh.one.toml: severity" in text
    assert "dlh.two.toml: x: unknown key" in text
    assert "alert rule 'dlh.same' is also defined in" in text


def test_a_rule_over_an_agency_that_is_not_served_is_left_out_with_it() -> None:
    served = indicators("bpbd.merapi_level_now", "bpbd.disasters_active_now", "bpbd.flooded_areas_now", "bpbd.refugees_now")
    found = load_alerts([ROOT / "schemas"], served)
    assert set(found) == {"bpbd.merapi_level", "bpbd.disasters_active", "bpbd.flooded_areas", "bpbd.refugees"}


def test_every_rule_of_the_repository_speaks_both_languages() -> None:
    for path in alert_files([ROOT / "schemas"]):
        spec = shipped(path.stem).spec
        assert spec.text.id != spec.text.en
        assert spec.recipients, path


def test_what_endangers_lives_is_serta_merta() -> None:
    assert all(shipped(id_).urgent for id_ in ("bpbd.merapi_level", "bpbd.disasters_active", "bpbd.flooded_areas", "dlh.unhealthy_air"))
    assert not shipped("dpmptsp.within_sla").urgent


def channels(folder: Path, text: str, **settings: str) -> AlertsSettings:
    path = folder / "channels.toml"
    path.write_text(text)
    return AlertsSettings.model_validate({"channels": path, **settings})


def test_all_that_is_wrong_with_the_channels_is_told_at_once_and_no_address_with_it(tmp_path: Path) -> None:
    (tmp_path / "short.key").write_text("kurz")
    settings = channels(
        tmp_path,
        """
        [a]
        kind = "email"
        to = ["pusdalops at example.go.id"]
        [b]
        kind = "webhook"
        url = "http://elsewhere.example/x"
        secret_file = "short.key"
        [c]
        kind = "webhook"
        url = "https://elsewhere.example/x"
        secret_file = "none.key"
        sekret = "x"
        [d]
        kind = "email"
        to = ["a@example.go.id"]
        """,
    )
    with pytest.raises(ConfigurationError) as caught:
        load_channels(settings)
    text = str(caught.value)
    for wanted in (
        "a.to.0",
        "b.secret_file: holds 4 bytes",
        "b.url: is not https",
        "c.sekret: unknown key",
        "BUS_ALERTS__SMTP_HOST",
        "SENDER",
    ):
        assert wanted in text, wanted
    assert "pusdalops at" not in text


def test_good_channels_are_read_and_their_secrets_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"0123456789abcdef\n")
    settings = channels(
        tmp_path,
        '[a]\nkind = "webhook"\nurl = "http://127.0.0.1:9/x"\nsecret_file = "k"\n[b]\nkind = "email"\nto = ["a@example.go.id"]\n',
        smtp_host="mail.example.go.id",
        sender="simpul@example.go.id",
    )
    found = load_channels(settings)
    assert isinstance(found["a"], Webhook)
    assert found["a"].secret.get_secret_value() == b"0123456789abcdef"
    assert "0123456789abcdef" not in repr(found)
    assert unknown(["a", "bb", "zzz"], found) == {"bb": "b", "zzz": "none"}
    assert load_channels(AlertsSettings()) == {}
    with pytest.raises(ConfigurationError, match=r"BUS_ALERTS__CHANNELS.*cannot be read"):
        load_channels(AlertsSettings(channels=tmp_path / "nowhere.toml"))


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.from_env({"BUS_ALERTS__SMTP_PASSWORD": "geheim", "BUS_ALERTS__PORT": "0"})
    assert settings.alerts.port == 0
    assert "geheim" not in repr(settings)
