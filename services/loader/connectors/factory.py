"""Which connector serves a flow."""

from services.chassis.database import Lake
from services.chassis.settings import load_settings
from services.loader.connectors.files import FilesConnector
from services.loader.connectors.http import HttpConnector
from services.loader.connectors.interface import Connector
from services.loader.connectors.journal import JournalConnector
from services.loader.connectors.kafka import KafkaConnector
from services.loader.connectors.sql import SqlConnector
from services.loader.flows import FilesFlow, HttpFlow, JournalFlow, KafkaFlow, LoadFlow, SqlFlow
from services.loader.settings import LakeSettings


def connector_of(flow: LoadFlow) -> Connector:
    """Make the connector of a flow; nothing is reached before it is used."""
    match flow:
        case JournalFlow():
            url = load_settings(LakeSettings).lake_url.get_secret_value()
            return JournalConnector(Lake.open(url, service="loader", pool_size=3), flow)
        case SqlFlow():
            return SqlConnector(flow)
        case HttpFlow():
            return HttpConnector(flow)
        case FilesFlow():
            return FilesConnector(flow)
        case KafkaFlow():
            return KafkaConnector(flow)
