"""Which connector serves a flow."""

from services.chassis.database import Lake
from services.chassis.settings import load_settings
from services.loader.connectors.interface import Connector
from services.loader.connectors.journal import JournalConnector
from services.loader.errors import UnknownFlow
from services.loader.flows import JournalFlow, LoadFlow
from services.loader.settings import LakeSettings


def connector_of(flow: LoadFlow) -> Connector:
    """Make the connector of a flow; nothing is reached before it is used."""
    match flow:
        case JournalFlow():
            url = load_settings(LakeSettings).lake_url.get_secret_value()
            return JournalConnector(Lake.open(url, service="loader", pool_size=3), flow)
    raise UnknownFlow(flow.name)
