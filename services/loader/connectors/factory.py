"""Which connector serves a flow."""

from services.chassis.settings import load_settings
from services.lake.database import Lake
from services.loader.connectors.interface import Connector
from services.loader.flows.model import FilesFlow, HttpFlow, JournalFlow, KafkaFlow, LoadFlow, SqlFlow
from services.loader.settings import LakeSettings

# Each connector imports the libraries of its source, such as a reader of Parquet; a command loads only its own.
# ruff: noqa: PLC0415


def connector_of(flow: LoadFlow) -> Connector:
    """Make the connector of a flow; nothing is reached before it is used."""
    match flow:
        case JournalFlow():
            from services.loader.connectors.journal import JournalConnector

            url = load_settings(LakeSettings).lake_url.get_secret_value()
            return JournalConnector(Lake.open(url, service="loader", pool_size=3), flow)
        case SqlFlow():
            from services.loader.connectors.sql import SqlConnector

            return SqlConnector(flow)
        case HttpFlow():
            from services.loader.connectors.http import HttpConnector

            return HttpConnector(flow)
        case FilesFlow():
            from services.loader.connectors.files import FilesConnector

            return FilesConnector(flow)
        case KafkaFlow():
            from services.loader.connectors.kafka import KafkaConnector

            return KafkaConnector(flow)
