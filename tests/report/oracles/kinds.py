"""What is due of each kind of sentence that only the tests compute again: a kind is its id, of its cells and values."""

from repromatrix.report.verify.due import due


def kind(name, where):
    """Return what makes a due sentence; `where`: its id, of `cells` and values."""

    def make(*, cells, **values):
        return due(name, where.format(cells=cells, **values), cells, **values)

    return make


CellCount = kind("cell_count", "cells")
OutcomeCount = kind("outcome_count", "outcome/{outcome}")
FrameworksRan = kind("frameworks_ran", "frameworks")
Deterministic = kind("deterministic", "deterministic")
WithoutResult = kind("without_result", "without-result/{cells[0]}")
LeftOut = kind("left_out", "left-out/{cells[0]}")
RanIn = kind("ran_in", "environment/{cells[0]}")
UpgradeTotals = kind("upgrade_totals", "upgrades")
VersionLine = kind("version_line", "line/{workload}/{framework}/{flavour}/{python}/{variant}/{device}/{settings}")
Traced = kind("traced", "traced")
TracingChanges = kind("tracing_changes", "tracing-changes/{cells[0]}")
UntracedTensors = kind("untraced_tensors", "untraced-tensors/{cells[0]}/{tensors[0]}")
WithoutTrace = kind("without_trace", "without-trace/{cells[0]}")
PublishedTotals = kind("published_totals", "published/{workload}")
PairVerdict = kind("pair_verdict", "pair/{workload}/{a}/{b}")
Closest = kind("closest", "closest/{workload}/{iteration}")
VerdictTotals = kind("published_verdict_totals", "verdicts/{workload}")
ExplanationTotals = kind("explanation_totals", "explanations")
SinceAccepted = kind("since_accepted", "since-accepted")
OutcomeChange = kind("outcome_change", "outcome-change/{cells[0]}")
BitsChange = kind("bits_change", "bits-change/{cells[0]}")
Membership = kind("membership", "membership/{change}")
OperationTotals = kind("operation_totals", "operations")
SourceTotals = kind("source_totals", "operations/{operation}")
OperationsOf = kind("operations_of", "operations-of/{cells[0]}/{cells[1]}")
OperationSource = kind("operation_source", "operation/{cells[0]}/{cells[1]}/{place}")
OperationPair = kind("operation_pair", "operation-pair/{cells[0]}/{cells[1]}/{operation}")
OperationForm = kind("operation_form", "operation-form/{operation}/{dtype}/{cells[0]}")
NotListed = kind("not_listed", "not-listed/{cells[0]}")


def IdentityChange(*, cells, environments, differing):  # noqa: N802 - one of the kinds
    where = f"identity-change/{'+'.join(differing)}"
    return due("identity_change", where, cells, environments=environments, differing=differing)


def Contradiction(*, cells, workload, columns, printed, sentence, **values):  # noqa: N802, ARG001 - its words are no value
    where = f"contradiction/{workload}/{'+'.join(columns)}/{printed[0]}"
    return due("contradiction", where, cells, workload=workload, columns=columns, printed=printed, **values)


def FactorTotals(*, cells, name, condition, **values):  # noqa: N802
    where = f"{'condition' if condition else 'factor'}-totals/{name}"
    return due("factor_totals", where, cells, name=name, condition=condition, **values)


def CauseTotals(*, cells, causes, conditions, **values):  # noqa: N802
    words = [*(" + ".join(names) for names in causes), *(f"condition {name}" for name in conditions)]
    return due("cause_totals", f"cause/{' or '.join(words)}", cells, causes=causes, conditions=conditions, **values)


def NoBaseline(*, cells, now, accepted):  # noqa: N802 - one of the kinds
    return due("no_baseline", f"no-baseline/{now}/{'+'.join(accepted)}", cells, now=now, accepted=accepted)
