"""The document of a study agrees with the results of its models, and all outputs agree with the document."""

from __future__ import annotations

import csv
import io
import json

import pytest
from fake_models import FACTS, FALLING, fake_results, score

from vtbench_study.html_report import study_page
from vtbench_study.plan import Plan
from vtbench_study.summary import summarise
from vtbench_study.table_files import table_files
from vtbench_study.text_report import print_study

PLAN = Plan(seeds=(0, 1, 2))


def models(rs=FALLING, plan: Plan = PLAN, **by_arm):
    """Results of a plan's models with RS by arm; `by_arm` has further settings of some arms."""
    return [
        fake_results(cell, plan, rs.get(cell.arm, 0.55), **by_arm.get(cell.arm.replace("+", "_"), {}))
        for cell in plan.cells()
    ]


@pytest.fixture(scope="module")
def document():
    return summarise(PLAN, models(), FACTS)


def claim(document, measure: str):
    return next(row for row in document["claims"] if row["measure"] == measure)


def test_a_falling_rs_reproduces_the_claim_and_a_rising_one_reverses_it() -> None:
    order = list(PLAN.families)
    rising = FALLING | dict(zip(order, [FALLING[f] for f in reversed(order)], strict=True))
    flat = FALLING | dict.fromkeys(order, 0.6)
    verdicts = [claim(summarise(PLAN, models(rs), FACTS), "rs_probe")["verdict"] for rs in (FALLING, rising, flat)]
    assert verdicts == ["reproduced", "reversed", "not reproduced"]


def test_the_change_of_rs_excludes_the_effect_of_the_images() -> None:
    falling = models(FALLING | {"base": 0.4})
    for model in falling:  # the images alone make RS fall: the base has the same RS as each family's own model
        before = dict(zip(PLAN.families, (0.8, 0.7, 0.6, 0.5), strict=True))
        if model["kind"] == "base":
            for family, rs in before.items():
                model["redundancy_own"][family]["rs"]["value"] = rs
    document = summarise(PLAN, falling, FACTS)
    assert claim(document, "rs_own")["verdict"] == "reproduced"
    assert claim(document, "rs_own_change")["verdict"] == "not reproduced"
    row = next(row for row in document["table"] if row["arm"] == "coarse")
    assert row["rs_own_change"]["mean"] == pytest.approx(0.001)


def test_each_arm_has_a_row_with_the_mean_over_its_seeds(document) -> None:
    rows = {row["arm"]: row for row in document["table"]}
    full_rate = ["coarse+full_rate", "scene_graph+full_rate"]
    assert list(rows) == ["base", *PLAN.families, "balanced", "relational+cosine", *full_rate]
    assert rows["coarse"]["rs_probe"]["mean"] == pytest.approx(0.801)
    assert rows["coarse"]["rs_probe"]["seed_sd"] == pytest.approx(0.001)
    assert "accuracy" not in rows["base"]


def test_transfer_has_every_arm_the_base_and_the_blind_control(document) -> None:
    transfer = document["transfer"]
    assert transfer["coarse"]["coarse"]["mean"] == pytest.approx(0.8)
    assert transfer["coarse"]["relational"]["mean"] == pytest.approx(0.1)
    assert transfer["base"]["coarse"]["mean"] == pytest.approx(0.1)
    assert transfer["blind"]["attribute"]["mean"] == pytest.approx(0.2)


def test_a_family_whose_accuracy_did_not_rise_is_not_learned() -> None:
    rows = summarise(PLAN, models(coarse={"accuracy": 0.1}, attribute={"accuracy": 0.2}), FACTS)["learned"]
    learned = {row["family"]: (row["raised"], row["sees"]) for row in rows}
    assert learned["coarse"] == (False, False)
    assert learned["attribute"] == (True, False)
    assert learned["relational"] == (True, True)


def test_a_penalty_helps_only_where_information_and_accuracy_hold() -> None:
    def row(**facts):
        rows = summarise(PLAN, models(**{"relational_cosine": facts}), FACTS)["advice"]
        return next(row for row in rows if row["kind"] == "penalty")

    good = row()
    assert good["helps"]
    assert good["rs_difference"] == pytest.approx(-0.05)
    forgetful = row(information=80.0)
    assert not forgetful["helps"]
    assert "information fell from 100.0 to 80.0 nats" in forgetful["lost"]
    assert "accuracy on relational fell" in row(accuracy=0.7)["lost"][0]


def test_rs_is_correlated_with_the_drop_curve_over_trained_models(document) -> None:
    row = next(r for r in document["rank_correlation"] if (r["rs"], r["drop"]) == ("rs_probe", "drop_area"))
    assert row["models"] == len(PLAN.cells()) - 1
    assert row["rho"] < -0.9


def test_an_unfinished_study_lists_missing_models() -> None:
    few = [m for m in models() if m["arm"] in ("base", "coarse") or m["name"] == "attribute-0"]
    document = summarise(PLAN, few, FACTS)
    assert "attribute-1" in document["missing"]
    assert claim(document, "rs_probe")["verdict"] == "cannot tell"
    assert "Not finished" in study_page(document)
    print_study(document)


def test_json_csv_and_terminal_hold_the_same_numbers(document, capsys) -> None:
    json.dumps(document, allow_nan=False)
    texts = table_files(document)
    written = {name[:-4]: list(csv.DictReader(io.StringIO(t))) for name, t in texts.items() if name.endswith(".csv")}
    assert "| `coarse` | 0.801 (" in texts["table.md"]
    assert "*0.78* | *92*" in texts["table.md"]
    (row,) = [r for r in written["table"] if (r["arm"], r["measure"]) == ("coarse", "rs_probe")]
    assert float(row["mean"]) == pytest.approx(0.801)
    assert row["paper_claims"] == "0.78"
    assert len(written["models"]) == len(PLAN.cells())
    assert {row["stage"] for row in written["cues"]} == {"pixels", "encoder", "connector"}
    print_study(document)
    printed = capsys.readouterr().out
    assert "0.801" in printed
    assert "reproduced" in printed
    assert "0.78, 92 %" in printed


def test_the_page_has_every_section_and_escapes_names(document) -> None:
    page = study_page(document, image="data:image/png;base64,AAAA")
    for part in ("table", "claims", "transfer", "advice", "layers", "drop", "cues", "tokens", "carriers", "how"):
        assert f'id="{part}"' in page
    assert "Reproduced" in page
    assert "paper claims" in page
    evil = Plan(mixes={"a&lt;b": {"coarse": 1.0}}, penalties={}, full_rate=())
    page = study_page(summarise(evil, models(plan=evil), FACTS))
    assert "a&amp;lt;b" in page
    assert "a&lt;b" not in page


def test_newer_scores_are_in_tables_and_claims_where_models_have_them(document) -> None:
    assert "cue information" not in table_files(document)["table.md"]
    assert "n_eff_16" not in [row["measure"] for row in document["claims"]]
    newer = models()
    for model in newer:
        of_16 = 5.0 + PLAN.families.index(model["own"][0]) if model["own"] else 5.0
        tilt = 0.01 * (model["seed"] or 0)
        model["redundancy"] |= {"n_eff_16": score(of_16 + tilt), "cue_information": score(30.0 + tilt)}
    document = summarise(PLAN, newer, FACTS)
    texts = table_files(document)
    assert "| cue information, nats |" in texts["table.md"]
    assert "30.0" in texts["table.csv"]
    assert claim(document, "n_eff_16")["verdict"] == "reproduced"
    assert claim(document, "cue_information")["verdict"] == "not reproduced"
    print_study(document)
    study_page(document)


def test_size_equivalence_and_power_stand_beside_the_verdicts(document, capsys) -> None:
    found = claim(document, "rs_probe")
    assert found["change"] == pytest.approx(-0.3)
    assert (found["margin"], found["equivalent"]) == (0.03, False)
    at_full_rate = next(row for row in document["full_rate_claims"] if row["measure"] == "rs_probe")
    assert (at_full_rate["change"], at_full_rate["verdict"]) == (pytest.approx(-0.3), "cannot tell")
    assert [row["rs_difference"] for row in document["full_rate"]] == pytest.approx([0, 0])
    texts = table_files(document)
    print_study(document)
    for text in (texts["table.md"], study_page(document), capsys.readouterr().out):
        assert "-0.300 (-0.302 to -0.298)" in text
        assert "not shown to be less than 0.03" in text
        assert "(SD between seeds 0.001)" in text
    assert "equivalence_p" in texts["claims.csv"].splitlines()[0]


def test_what_checkpoints_say_is_in_every_output(capsys) -> None:
    names = ("rs", "n_eff_16", "discarded", "cue_information", "rs_kept", "cue_kept", "drop_f95", "accuracy")
    rows = [{"checkpoint": f"{cell.name}@{step}", "arm": cell.arm, "run": cell.name, "share": step / 4,
             "protocol": "rs-v2", **dict.fromkeys(names), "rs": 0.7 + 0.01 * step + 0.001 * i,
             "drop_area": 0.5 - 0.01 * step + 0.002 * (i % 5)}
            for i, cell in enumerate(PLAN.cells()[1:]) for step in (1, 2, 4)]  # fmt: skip
    document = summarise(PLAN, models(), FACTS, rows)
    texts = table_files(document)
    assert len(list(csv.DictReader(io.StringIO(texts["checkpoints.csv"])))) == len(rows)
    print_study(document)
    assert "| `rs` | `drop_area` |" in texts["table.md"]
    for text in (study_page(document), capsys.readouterr().out):
        assert "rs and drop_area: slope" in text
        assert f"{len(rows)} checkpoints of 8 arms" in text
        assert "rs and accuracy: too few checkpoints" in text


def test_a_quick_study_is_marked(capsys) -> None:
    plan = Plan(quick=True, seeds=(0, 1))
    document = summarise(plan, models(plan=plan), FACTS)
    assert "too small to conclude from" in study_page(document)
    print_study(document)
    assert "too small to conclude from" in capsys.readouterr().out
