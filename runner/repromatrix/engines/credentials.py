"""What `docker login` left in the user's Docker configuration, for a registry that is asked without the engine."""

from dataclasses import dataclass, field

from repromatrix.errors import EnvironmentFailedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A name with a password, or an identity token alone; never part of a printed value."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


def credentials(registry: str) -> Credentials | None:
    """Return the credentials for a registry (`docker.io`, `HOST:PORT`), None where nobody has logged in.

    Raises:
        EnvironmentFailedError: the configuration's credential helper fails.
    """
    from docker.auth import load_config  # noqa: PLC0415 - the SDK is slow to import
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        found = load_config().resolve_authconfig(registry)
    except DockerException as error:  # its text may quote what the helper printed
        raise EnvironmentFailedError(
            f"the credentials for {registry} cannot be read: the Docker configuration's credential helper failed "
            f"({type(error).__name__})",
            hint=f"docker logout {registry}, then docker login {registry}",
        ) from None
    if not found:
        return None
    values = {key.lower(): value for key, value in found.items()}  # a helper writes Username, the file username
    return Credentials(
        username=values.get("username") or "",
        password=values.get("password") or "",
        identity_token=values.get("identitytoken") or "",
    )
