"""The chart of a service, against Kubernetes, its image, its settings and its routes.

No Helm can be had from a package: the chart is rendered by `go_templates`, which knows as much as it
asks for. What is not checked here is said in docs/how-to/deploy-with-helm.md.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from fastapi_baseline import Settings, create_app
from fastapi_baseline.testing import running
from tests.template.deployed import AWKWARD, DEPLOYED, PROGRAMS, image_of
from tests.template.go_templates import Values, render_chart

Run = Callable[..., str]

KINDS = ["Deployment", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget", "Service"]
EVERYTHING: Values = {
    "image": {"tag": "1.2.3", "pullSecrets": ["registry"]},
    "env": {
        "REQUESTS__MAX_BODY_SIZE": 10485760,
        "LOG__LEVEL": 'a "b" \\ c: d',
        "METRICS__ON": True,
    },
    "secrets": {"MANAGEMENT__TOKEN": {"name": "management", "key": "token"}},
    "network": {
        "from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}],
        "egress": [{"ports": [{"port": 5432}]}, {"ports": [{"port": 53, "protocol": "UDP"}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "podAnnotations": {"example.com/note": "a: b"},
    "podLabels": {"team": "orders"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}
NOTHING: Values = {
    "autoscaling": {"enabled": False},
    "network": {"enabled": False},
    "secrets": {"REDIS_URL": None},
}


@pytest.fixture(scope="module", params=DEPLOYED)
def service(request: pytest.FixtureRequest, deployed: dict[str, Path]) -> Path:
    return deployed[request.param]


@pytest.fixture(scope="module")
def default(deployed: dict[str, Path]) -> Path:
    return deployed["order-service"]


def chart_of(service: Path, values: Values | None = None) -> dict[str, Values]:
    return {found["kind"]: found for found in render_chart(service / "helm", values=values)}


def container_of(workload: Values) -> Values:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return container


def selects(selector: Values, labels: Values) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def test_has_a_chart_that_kubernetes_accepts(
    deployed: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    files: list[str] = []
    for name, service in deployed.items():
        for number, values in enumerate(({}, EVERYTHING, NOTHING)):
            # What the Prometheus operator reads is not in the schemas of Kubernetes.
            found = [
                manifest
                for manifest in render_chart(service / "helm", values=values)
                if manifest["kind"] != "ServiceMonitor"
            ]
            assert len(found) >= 3
            files.append(f"{name}-{number}.yaml")
            (tmp_path / files[-1]).write_text(yaml.safe_dump_all(found), encoding="utf-8")
    versions = [part for version in ("1.27", "1.37") for part in ("--kubernetes-version", version)]

    run(PROGRAMS / "kubernetes-validate", "--strict", *versions, *files, cwd=tmp_path)


def test_finds_what_kubernetes_would_refuse(default: Path, run: Run, tmp_path: Path) -> None:
    deployment = chart_of(default)["Deployment"]
    container_of(deployment)["readinesProbe"] = {}
    (tmp_path / "misspelt.yaml").write_text(yaml.safe_dump(deployment), encoding="utf-8")

    run(PROGRAMS / "kubernetes-validate", "--strict", "misspelt.yaml", cwd=tmp_path, code=1)


def test_has_what_a_service_needs_and_no_more_than_is_asked_for(service: Path) -> None:
    jobs = [] if service.name == "plain-service" else ["Job"]

    assert sorted(chart_of(service)) == sorted(KINDS + jobs)
    assert sorted(chart_of(service, EVERYTHING)) == sorted([*KINDS, *jobs, "ServiceMonitor"])
    assert sorted(chart_of(service, NOTHING)) == sorted(
        {*KINDS, *jobs} - {"HorizontalPodAutoscaler", "NetworkPolicy"}
    )


def test_leaves_the_number_of_pods_to_one_of_the_two_that_know_it(default: Path) -> None:
    scaled = chart_of(default)["Deployment"]["spec"]
    fixed = chart_of(default, {"autoscaling": {"enabled": False}, "replicas": 0})["Deployment"]

    assert "replicas" not in scaled
    assert fixed["spec"]["replicas"] == 0


def test_has_a_chart_named_like_the_service(default: Path) -> None:
    chart = yaml.safe_load((default / "helm/Chart.yaml").read_text(encoding="utf-8"))

    assert chart["name"] == "order-service"
    assert chart["description"] == AWKWARD


def test_chooses_the_pods_of_the_service_and_no_job(service: Path) -> None:
    chart = chart_of(service)
    pods = chart["Deployment"]["spec"]["template"]["metadata"]["labels"]
    others = [
        chart[kind]["spec"]["template"]["metadata"]["labels"] for kind in {"Job"} & set(chart)
    ]
    selectors = [
        chart["Deployment"]["spec"]["selector"]["matchLabels"],
        chart["Service"]["spec"]["selector"],
        chart["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        chart["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]

    assert [selector for selector in selectors if not selects(selector, pods)] == []
    assert not [labels for labels in others for item in selectors if selects(item, labels)]


def test_names_ports_that_the_image_serves_at(service: Path) -> None:
    chart = chart_of(service, {"serviceMonitor": {"enabled": True}})
    container = container_of(chart["Deployment"])
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    image = image_of(service)
    asked = {container[probe]["httpGet"]["port"] for probe in container if probe.endswith("Probe")}
    asked |= {port["targetPort"] for port in chart["Service"]["spec"]["ports"]}
    asked |= {
        port["port"] for rule in chart["NetworkPolicy"]["spec"]["ingress"] for port in rule["ports"]
    }
    offered = {port["name"] for port in chart["Service"]["spec"]["ports"]}

    assert ports == {"http": image["PORT"], "management": image["MANAGEMENT__PORT"]}
    assert asked == set(ports)
    assert chart["ServiceMonitor"]["spec"]["endpoints"][0]["port"] in offered


async def test_probes_paths_that_a_service_answers(default: Path) -> None:
    container = container_of(chart_of(default)["Deployment"])
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    app = create_app(Settings(environment="test"), configure_logging=False)

    async with running(app) as client:
        answers = {path: (await client.get(path)).status_code for path in paths.values()}

    assert list(answers.values()) == [200, 200, 200]
    # A liveness probe that asks others would restart a service that is well.
    assert paths["livenessProbe"] == "/livez"


def test_waits_until_a_service_has_stopped(default: Path) -> None:
    settings = Settings(environment="production")
    needed = settings.drain_delay + settings.shutdown.grace + settings.shutdown.cleanup
    compose = yaml.safe_load((default / "compose.yaml").read_text(encoding="utf-8"))
    pod = chart_of(default)["Deployment"]["spec"]["template"]["spec"]

    assert timedelta(seconds=pod["terminationGracePeriodSeconds"]) > needed
    assert compose["services"]["api"]["stop_grace_period"] == (
        f"{pod['terminationGracePeriodSeconds']}s"
    )


def test_gives_pods_no_rights_and_nothing_to_write_to_but_tmp(service: Path) -> None:
    chart = chart_of(service)
    user = re.findall(r"(?m)^USER (\d+):\1$", (service / "Dockerfile").read_text(encoding="utf-8"))

    for kind in {"Deployment", "Job"} & set(chart):
        pod = chart[kind]["spec"]["template"]["spec"]
        container = container_of(chart[kind])
        assert [str(pod["securityContext"]["runAsUser"])] == user
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108 -- in the container
        assert container["resources"]["limits"].keys() == {"memory"}


def test_applies_migrations_before_new_pods_start(deployed: dict[str, Path]) -> None:
    chart = chart_of(deployed["order-service"])
    job = chart["Job"]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert container_of(job)["args"] == ["baseline", "db", "upgrade"]
    assert container_of(job)["image"] == container_of(chart["Deployment"])["image"]
    assert container_of(job)["env"] == container_of(chart["Deployment"])["env"]
    assert "Job" not in chart_of(deployed["order-service"], {"migration": {"enabled": False}})


def test_takes_secrets_from_the_cluster_and_holds_none(service: Path) -> None:
    chart = chart_of(service, {"env": {"LOG__LEVEL": "DEBUG"}})
    env = container_of(chart["Deployment"])["env"]
    referred = {entry["name"] for entry in env if "valueFrom" in entry}
    written = {entry["name"]: entry["value"] for entry in env if "value" in entry}

    assert "Secret" not in chart
    assert {"REDIS_URL"} <= referred
    assert not [name for name in written if re.search("KEY|SECRET|PASSWORD|TOKEN|_URL$", name)
                and "PAGE" not in name and "PUBLIC" not in name]  # fmt: skip
    assert written["LOG__LEVEL"] == "DEBUG"
    assert [entry["name"] for entry in env] == list(dict.fromkeys(e["name"] for e in env))


def test_writes_numbers_as_a_service_reads_them(default: Path) -> None:
    env = container_of(chart_of(default, EVERYTHING)["Deployment"])["env"]
    said = {entry["name"]: entry.get("value") for entry in env}

    assert said["REQUESTS__MAX_BODY_SIZE"] == "10485760"
    assert said["LOG__LEVEL"] == 'a "b" \\ c: d'
    assert said["METRICS__ON"] == "true"


PRODUCTION = {
    "AUTH__ISSUER": "https://login.example.com/realms/staff",
    "AUTH__PUBLIC_URL": "https://club.example.com",
    "AUTH__USERS__PAGE_URL": "https://club.example.com",
    "MAIL__SENDER": "club@example.com",
    "AUTH__SECRET_KEYS": "0123456789abcdef" * 4,
    "DATABASE_URL": "postgresql://user:word@postgres/shop?ssl=require",
    "DATABASE__CURSOR_KEY": "fedcba9876543210" * 4,
    "MAIL__SMTP_URL": "smtps://user:word@mail.example.com:465",
    "REDIS_URL": "rediss://user:word@redis:6379/0",
}


@pytest.mark.parametrize("name", ["order-service", "club-service"])
def test_names_every_setting_that_production_asks_for(
    name: str,
    deployed: dict[str, Path],
    install: Callable[[Path], None],
    run: Run,
    environment: Path,
) -> None:
    service = deployed[name]
    install(service)
    env = container_of(chart_of(service)["Deployment"])["env"]
    left_open = [entry["name"] for entry in env if not entry.get("value")]
    # As nobody says at the build which one it is.
    image = {name: value for name, value in image_of(service).items() if "$" not in value}
    unsaid = dict.fromkeys(("BUILD__VERSION", "BUILD__COMMIT", "BUILD__TIME"), "")
    extra = image | unsaid | {entry["name"]: entry.get("value", "") for entry in env}
    command = (environment / "python", "-c", f"import {name.replace('-', '_')}.main")

    refused = run(*command, cwd=service, extra=extra, code=1)
    run(*command, cwd=service, extra=extra | {name: PRODUCTION[name] for name in left_open})

    assert "ConfigurationError" in refused


MISSPELT: list[Values] = [
    {"replica": 2},
    {"image": {"tag": 1.10}},
    {"image": {"repository": ""}},
    {"env": {"PORT": 9000}},
    {"env": {"MANAGEMENT__PORT": 9000}},
    {"env": {"log_level": "INFO"}},
    {"env": {"CORS_ORIGINS": ["https://shop.example.com"]}},
    {"secrets": {"DATABASE_URL": "postgresql://user:word@postgres/shop"}},
    {"secrets": {"DATABASE_URL": {"name": "order-service"}}},
    {"autoscaling": {"minReplicas": "two"}},
    {"network": {"ingress": []}},
    {"serviceMonitor": {"interval": 15}},
]


def test_refuses_values_that_are_misspelt(
    deployed: dict[str, Path], run: Run, tmp_path: Path
) -> None:
    chart = deployed["order-service"] / "helm"
    schema = chart / "values.schema.json"
    given = [service / "helm/values.yaml" for service in deployed.values()]
    files: list[str] = []
    for number, change in enumerate(MISSPELT):
        values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
        for name, part in change.items():
            values[name] = {**values[name], **part} if isinstance(part, dict) else part
        files.append(f"{number}.yaml")
        (tmp_path / files[-1]).write_text(yaml.safe_dump(values), encoding="utf-8")
    check = PROGRAMS / "check-jsonschema"

    run(check, "--check-metaschema", schema, cwd=tmp_path)
    run(check, "--schemafile", schema, *given, cwd=tmp_path)
    said = run(check, "--schemafile", schema, *files, cwd=tmp_path, code=1)

    assert [name for name in files if f"{name}::" not in said] == []
