"""Makes the az of Debian 12 run its Event Grid and role commands.

Debian ships az 2.45 with management SDKs it was not written for. Python loads
this file at start where its folder is in PYTHONPATH; it changes modules as they
are imported, and nothing on disk. What it repairs:

- azure.mgmt.eventgrid 10.3.0b1 speaks api-version 2022-06-15, while the command
  module wants that of 2021-10-15-preview. Models and fields that only the
  preview has are added, and so is its operation group partnerDestinations.
- azure.mgmt.authorization keeps its configuration in _config, where the role
  commands look for config.

Commands for the older event channels stay broken.
"""

import enum
import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec

PREVIEW = '2021-10-15-preview'

# Notation of the tables below: attributes by JSON path, with a type behind a
# colon where it is not a string. The Python name of an attribute is the last
# part of its path in snake case.

RESOURCE = 'id name type location tags:{str}'
WEBHOOK = ('endpointType properties.endpointUrl properties.endpointBaseUrl'
           ' properties.clientAuthentication:AzureADPartnerClientAuthentication')

# Models that the SDK lacks, with the value of the attribute that tells them
# apart from their siblings.
NEW_MODELS = {
    'ResourceSku': ('name', {}),
    'ExtendedLocation': ('name type', {}),
    'AzureADPartnerClientAuthentication': (
        'clientAuthenticationType properties.azureActiveDirectoryTenantId'
        ' properties.azureActiveDirectoryApplicationIdOrUri',
        {'client_authentication_type': 'AzureAD'}),
    'WebhookPartnerDestinationInfo': (
        'azureSubscriptionId resourceGroupName name endpointServiceContext ' + WEBHOOK,
        {'endpoint_type': 'WebHook'}),
    'WebhookUpdatePartnerDestinationInfo': (WEBHOOK, {'endpoint_type': 'WebHook'}),
    'PartnerDestination': (
        RESOURCE + ' properties.partnerRegistrationImmutableId properties.endpointServiceContext'
        ' properties.expirationTimeIfNotActivatedUtc:iso-8601 properties.provisioningState'
        ' properties.activationState properties.endpointBaseUrl properties.messageForActivation', {}),
    'PartnerDestinationUpdateParameters': ('tags:{str}', {}),
    # Imported by name and used by event channel commands only.
    'EventChannel': ('', {}),
    'EventChannelSource': ('', {}),
    'EventChannelDestination': ('', {}),
    'EventChannelFilter': ('', {}),
}

# Attributes that models of the SDK lack.
NEW_ATTRIBUTES = {
    'Topic': 'sku:ResourceSku kind extendedLocation:ExtendedLocation',
    'TopicUpdateParameters': 'sku:ResourceSku',
    'Domain': 'sku:ResourceSku',
    'DomainUpdateParameters': 'sku:ResourceSku',
    'Channel': 'properties.partnerDestinationInfo:WebhookPartnerDestinationInfo',
    'ChannelUpdateParameters': 'properties.partnerDestinationInfo:WebhookUpdatePartnerDestinationInfo',
    'PartnerRegistration': (
        'properties.authorizedAzureSubscriptionIds:[str] properties.partnerName'
        ' properties.partnerResourceTypeName properties.partnerResourceTypeDisplayName'
        ' properties.partnerResourceTypeDescription properties.longDescription'
        ' properties.partnerCustomerServiceNumber properties.partnerCustomerServiceExtension'
        ' properties.customerServiceUri properties.logoUri properties.setupUri'),
}


def snake(name):
    return ''.join('_' + c.lower() if c.isupper() else c for c in name)


def attributes(text):
    """Reads the notation above into what the SDK calls an attribute map."""
    out = {}
    for item in text.split():
        path, _, kind = item.partition(':')
        out[snake(path.rpartition('.')[2])] = {'key': path, 'type': kind or 'str'}
    return out


def make_model(base, name, text, fixed):
    fields = attributes(text)

    def __init__(self, **given):
        base.__init__(self)
        for field in fields:
            setattr(self, field, fixed.get(field, given.get(field)))

    return type(name, (base,), {
        '__init__': __init__, '_attribute_map': fields, '_validation': {}, '_subtype_map': {}})


def extend_model(model, text):
    fields = attributes(text)
    plain = model.__init__

    def __init__(self, **given):
        extra = {field: given.pop(field, None) for field in fields}
        plain(self, **given)
        self.__dict__.update(extra)

    model.__init__ = __init__
    model._attribute_map = {**model._attribute_map, **fields}


def repair_models(models):
    if hasattr(models, 'ResourceSku'):
        return  # an SDK that has them
    from azure.mgmt.eventgrid._serialization import Model
    for name, (text, fixed) in NEW_MODELS.items():
        setattr(models, name, make_model(Model, name, text, fixed))
    for name, text in NEW_ATTRIBUTES.items():
        extend_model(getattr(models, name), text)
    models.ChannelType = enum.Enum('ChannelType', {
        'PARTNER_TOPIC': 'PartnerTopic', 'PARTNER_DESTINATION': 'PartnerDestination'}, type=str)


class PartnerDestinationsOperations:
    """The operation group as the command module calls it. Every operation but
    the deletion is done with one request."""

    def __init__(self, client):
        self._client = client

    def _request(self, method, group=None, name=None, action=None, body=None, query=None):
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest
        from azure.mgmt.core.exceptions import ARMErrorFormat
        client = self._client
        parts = ['/subscriptions', client._config.subscription_id]
        if group:
            parts += ['resourceGroups', group]
        parts += ['providers/Microsoft.EventGrid/partnerDestinations', name, action]
        content = None if body is None else client._serialize.body(body, type(body).__name__)
        request = HttpRequest(
            method, client._client.format_url('/'.join(p for p in parts if p)), json=content,
            params={'api-version': PREVIEW, **(query or {})}, headers={'Accept': 'application/json'})
        response = client._client._pipeline.run(request)
        if response.http_response.status_code >= 400:
            raise HttpResponseError(response=response.http_response, error_format=ARMErrorFormat)
        return response

    def _read(self, response):
        return self._client._deserialize('PartnerDestination', response.http_response.json())

    def _read_list(self, response):
        return self._client._deserialize('[PartnerDestination]', response.http_response.json()['value'])

    def get(self, resource_group_name, partner_destination_name):
        return self._read(self._request('GET', resource_group_name, partner_destination_name))

    def create_or_update(self, resource_group_name, partner_destination_name, partner_destination):
        return self._read(self._request('PUT', resource_group_name, partner_destination_name, body=partner_destination))

    def update(self, resource_group_name, partner_destination_name, parameters):
        return self._read(self._request('PATCH', resource_group_name, partner_destination_name, body=parameters))

    def activate(self, resource_group_name, partner_destination_name):
        return self._read(self._request('POST', resource_group_name, partner_destination_name, 'activate'))

    def begin_delete(self, resource_group_name, partner_destination_name):
        from azure.core.polling import LROPoller
        from azure.mgmt.core.polling.arm_polling import ARMPolling
        client = self._client
        response = self._request('DELETE', resource_group_name, partner_destination_name)
        return LROPoller(client._client, response, lambda _: None, ARMPolling(client._config.polling_interval))

    def list_by_resource_group(self, resource_group_name, filter=None, top=None):
        return self._read_list(self._request('GET', resource_group_name, query=self._query(filter, top)))

    def list_by_subscription(self, filter=None, top=None):
        return self._read_list(self._request('GET', query=self._query(filter, top)))

    @staticmethod
    def _query(filter, top):
        return {k: v for k, v in {'$filter': filter, '$top': top}.items() if v}


def repair_client(package):
    from azure.mgmt.eventgrid import operations
    if hasattr(operations, 'PartnerDestinationsOperations'):
        return
    operations.PartnerDestinationsOperations = PartnerDestinationsOperations
    package.EventGridManagementClient.partner_destinations = property(PartnerDestinationsOperations)


def repair_authorization(operations):
    for name, cls in vars(operations).items():
        if name.endswith('Operations') and isinstance(cls, type):
            cls.config = property(lambda self: self._config)


def repair_for(name):
    """Returns what is to be done to a module once it is loaded."""
    if name == 'azure.mgmt.eventgrid':
        return repair_client
    if name == 'azure.mgmt.eventgrid.models':
        return repair_models
    parts = name.split('.')
    if parts[:3] == ['azure', 'mgmt', 'authorization'] and len(parts) == 5 and parts[4] == 'operations':
        return repair_authorization
    return None


class Repairer(MetaPathFinder):
    """Finds modules as usual, and lets those that need it be repaired after they
    have been executed."""

    def __init__(self):
        self._looking = False

    def find_spec(self, fullname, path=None, target=None):
        repair = repair_for(fullname)
        if repair is None or self._looking:
            return None
        self._looking = True  # find_spec comes here again
        try:
            spec = find_spec(fullname)
        finally:
            self._looking = False
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                repair(module)

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Repairer())
