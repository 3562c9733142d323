package eventgrid

import "github.com/intertie/intertie/resource"

const (
	topicsName  = Namespace + ".Topics"
	domainsName = Namespace + ".Domains"
)

// topicTypes is the catalogue. Names are Azure's, their odd casing included; the
// default sets of services that raise nothing here are as far as they are known.
// Where several types have the same source, the first is the one that extension
// subscriptions are about.
var topicTypes = []*TopicType{
	{
		Name: "Microsoft.Resources.Subscriptions", Source: resource.TypeSubscription,
		DisplayName: "Azure Subscriptions", Description: "Changes of the resources in a subscription",
		Global: true, Scopes: []string{"AzureSubscription"},
		Events: managementEvents,
	},
	{
		Name: "Microsoft.Resources.ResourceGroups", Source: resource.TypeGroup,
		DisplayName: "Resource Groups", Description: "Changes of the resources in a resource group",
		Global: true, Scopes: []string{"ResourceGroup"},
		Events: managementEvents,
	},
	{
		Name: topicsName, Source: TypeTopic,
		DisplayName: "Event Grid Topics", Description: "Events published to a custom topic",
		Scopes: []string{"Resource"},
	},
	{
		Name: domainsName, Source: TypeDomain,
		DisplayName: "Event Grid Domains", Description: "Events published to a domain",
		Scopes: []string{"Resource"},
	},
	{
		Name: "Microsoft.Storage.StorageAccounts", Source: "Microsoft.Storage/storageAccounts",
		DisplayName: "Storage Accounts", Description: "Changes of blobs and directories",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Storage", `
			BlobCreated: A blob was created or replaced
			BlobDeleted: A blob was deleted
			*BlobTierChanged: A blob moved to another access tier
			*BlobRenamed: A blob was renamed
			*DirectoryCreated: A directory was created
			*DirectoryDeleted: A directory was deleted
			*DirectoryRenamed: A directory was renamed
			*AsyncOperationInitiated: A copy or a move between tiers began
			*BlobInventoryPolicyCompleted: A run of an inventory rule ended
			*LifecyclePolicyCompleted: A run of a lifecycle rule ended
			*StorageTaskQueued: A storage task was queued
			*StorageTaskCompleted: A storage task ended
		`),
	},
	{
		Name: "Microsoft.Eventhub.Namespaces", Source: "Microsoft.EventHub/namespaces",
		DisplayName: "Event Hubs Namespaces", Description: "Files that Event Hubs Capture wrote",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.EventHub", `
			CaptureFileCreated: A capture file was written
		`),
	},
	{
		Name: "Microsoft.Devices.IoTHubs", Source: "Microsoft.Devices/IotHubs",
		DisplayName: "IoT Hub Accounts", Description: "Devices that come, go and report",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Devices", `
			DeviceCreated: A device was registered
			DeviceDeleted: A device was removed
			DeviceConnected: A device connected
			DeviceDisconnected: A device disconnected
			*DeviceTelemetry: A device sent a message
		`),
	},
	{
		Name: "Microsoft.ServiceBus.Namespaces", Source: "Microsoft.ServiceBus/namespaces",
		DisplayName: "Service Bus Namespaces", Description: "Messages that wait for a receiver",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.ServiceBus", `
			ActiveMessagesAvailableWithNoListeners: Messages wait and nobody listens
			DeadletterMessagesAvailableWithNoListeners: Dead letters wait and nobody listens
			*ActiveMessagesAvailablePeriodicNotifications: Messages still wait
			*DeadletterMessagesAvailablePeriodicNotifications: Dead letters still wait
		`),
	},
	{
		Name: "Microsoft.ContainerRegistry.Registries", Source: "Microsoft.ContainerRegistry/registries",
		DisplayName: "Container Registry", Description: "Images and charts that were pushed or deleted",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.ContainerRegistry", `
			ImagePushed: An image was pushed
			ImageDeleted: An image was deleted
			ChartPushed: A Helm chart was pushed
			ChartDeleted: A Helm chart was deleted
		`),
	},
	{
		Name: "Microsoft.Media.MediaServices", Source: "Microsoft.Media/mediaservices",
		DisplayName: "Microsoft Azure Media Services", Description: "Progress of media jobs and live events",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Media", `
			JobStateChange: A job changed its state
			*JobScheduled: A job was scheduled
			*JobProcessing: A job is being processed
			*JobCanceling: A job is being canceled
			*JobFinished: A job finished
			*JobCanceled: A job was canceled
			*JobErrored: A job failed
			*JobOutputStateChange: An output of a job changed its state
			*JobOutputScheduled: An output of a job was scheduled
			*JobOutputProcessing: An output of a job is being processed
			*JobOutputCanceling: An output of a job is being canceled
			*JobOutputFinished: An output of a job finished
			*JobOutputCanceled: An output of a job was canceled
			*JobOutputErrored: An output of a job failed
			*JobOutputProgress: An output of a job made progress
			LiveEventConnectionRejected: An encoder was refused
			LiveEventEncoderConnected: An encoder connected
			LiveEventEncoderDisconnected: An encoder disconnected
			LiveEventIncomingStreamReceived: The first data of a track arrived
			LiveEventIncomingStreamsOutOfSync: Audio and video ran apart
			LiveEventIncomingVideoStreamsOutOfSync: Video tracks ran apart
			LiveEventIncomingDataChunkDropped: Data came too late or overlapped
			LiveEventIngestHeartbeat: A live event is running
			LiveEventTrackDiscontinuityDetected: A track has a gap
		`),
	},
	{
		Name: "Microsoft.Maps.Accounts", Source: "Microsoft.Maps/accounts",
		DisplayName: "Azure Maps Accounts", Description: "Geofences that were crossed",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Maps", `
			GeofenceEntered: A position moved into a geofence
			GeofenceExited: A position moved out of a geofence
			GeofenceResult: A position was compared with a geofence
		`),
	},
	{
		Name: "Microsoft.AppConfiguration.ConfigurationStores", Source: "Microsoft.AppConfiguration/configurationStores",
		DisplayName: "Azure App Configuration", Description: "Settings that changed",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.AppConfiguration", `
			KeyValueModified: A setting was created or changed
			KeyValueDeleted: A setting was deleted
			SnapshotCreated: A snapshot was created
			SnapshotModified: A snapshot was changed
		`),
	},
	{
		Name: "Microsoft.KeyVault.vaults", Source: "Microsoft.KeyVault/vaults",
		DisplayName: "Azure Key Vault", Description: "Keys, secrets and certificates that change or run out",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.KeyVault", `
			CertificateNewVersionCreated: A certificate has a new version
			CertificateNearExpiry: A certificate will soon run out
			CertificateExpired: A certificate has run out
			KeyNewVersionCreated: A key has a new version
			KeyNearExpiry: A key will soon run out
			KeyExpired: A key has run out
			SecretNewVersionCreated: A secret has a new version
			SecretNearExpiry: A secret will soon run out
			SecretExpired: A secret has run out
			VaultAccessPolicyChanged: The access policy of a vault changed
		`),
	},
	{
		Name: "Microsoft.Web.Sites", Source: "Microsoft.Web/sites",
		DisplayName: "Azure Web App Service", Description: "Operations on apps and their slots",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Web", `
			AppUpdated: An app was restarted, stopped or changed
			BackupOperationStarted: A backup began
			BackupOperationCompleted: A backup ended
			BackupOperationFailed: A backup failed
			RestoreOperationStarted: A restore began
			RestoreOperationCompleted: A restore ended
			RestoreOperationFailed: A restore failed
			SlotSwapStarted: A swap of slots began
			SlotSwapCompleted: A swap of slots ended
			SlotSwapFailed: A swap of slots failed
			SlotSwapWithPreviewStarted: A swap with preview began
			SlotSwapWithPreviewCancelled: A swap with preview was cancelled
		`),
	},
	{
		Name: "Microsoft.Web.ServerFarms", Source: "Microsoft.Web/serverFarms",
		DisplayName: "Azure App Service Plan", Description: "Changes of App Service plans",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Web", `
			AppServicePlanUpdated: A plan was changed
		`),
	},
	{
		Name: "Microsoft.SignalRService.SignalR", Source: "Microsoft.SignalRService/SignalR",
		DisplayName: "Azure SignalR", Description: "Client connections that come and go",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.SignalRService", `
			ClientConnectionConnected: A client connected
			ClientConnectionDisconnected: A client disconnected
		`),
	},
	{
		Name: "Microsoft.MachineLearningServices.Workspaces", Source: "Microsoft.MachineLearningServices/workspaces",
		DisplayName: "Azure Machine Learning", Description: "Models, datasets and runs",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.MachineLearningServices", `
			ModelRegistered: A model was registered
			ModelDeployed: A model was deployed
			DatasetDriftDetected: A dataset drifted
			RunCompleted: A run ended
			*RunStatusChanged: A run changed its state
		`),
	},
	{
		Name: "Microsoft.Cache.Redis", Source: "Microsoft.Cache/Redis",
		DisplayName: "Azure Cache for Redis", Description: "Maintenance of a cache",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.Cache", `
			PatchingCompleted: A cache was patched
			ScalingCompleted: A cache was scaled
			ExportRDBCompleted: An export ended
			ImportRDBCompleted: An import ended
		`),
	},
	{
		Name: "Microsoft.Communication.CommunicationServices", Source: "Microsoft.Communication/communicationServices",
		DisplayName: "Azure Communication Services", Description: "Messages, chats and calls",
		Global: true, Scopes: []string{"Resource"},
		Events: events("Microsoft.Communication", `
			SMSReceived: A text message arrived
			SMSDeliveryReportReceived: A text message was delivered or not
			ChatMessageReceived: A chat message arrived
			ChatMessageEdited: A chat message was edited
			ChatMessageDeleted: A chat message was deleted
			ChatThreadCreatedWithUser: A user was put in a new chat
			ChatThreadWithUserDeleted: A chat of a user was deleted
			ChatThreadPropertiesUpdatedPerUser: A chat of a user was changed
			ChatMemberAddedToThreadWithUser: Somebody joined a chat of a user
			ChatMemberRemovedFromThreadWithUser: Somebody left a chat of a user
			ChatThreadCreated: A chat was created
			ChatThreadDeleted: A chat was deleted
			ChatThreadPropertiesUpdated: A chat was changed
			ChatThreadParticipantAdded: Somebody joined a chat
			ChatThreadParticipantRemoved: Somebody left a chat
			EmailDeliveryReportReceived: An email was delivered or not
			EmailEngagementTrackingReportReceived: An email was opened or a link in it followed
			IncomingCall: A call is coming in
			CallStarted: A call began
			CallEnded: A call ended
			CallParticipantAdded: Somebody joined a call
			CallParticipantRemoved: Somebody left a call
			RecordingFileStatusUpdated: A recording can be fetched
			UserDisconnected: A user was deleted or signed out
		`),
	},
	{
		Name: "Microsoft.PolicyInsights.PolicyStates", Source: resource.TypeSubscription,
		DisplayName: "Azure Policy", Description: "Compliance of resources with policies",
		Global: true, Scopes: []string{"AzureSubscription"},
		Events: events("Microsoft.PolicyInsights", `
			PolicyStateCreated: A resource was judged for the first time
			PolicyStateChanged: A resource was judged in another way
			PolicyStateDeleted: A judgement does not apply any more
		`),
	},
	{
		Name: "Microsoft.AgFoodPlatform.FarmBeats", Source: "Microsoft.AgFoodPlatform/farmBeats",
		DisplayName: "Azure Data Manager for Agriculture", Description: "Farms, fields and their data",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.AgFoodPlatform", `
			FarmChangedV2: A farm was created, changed or deleted
			FieldChangedV2: A field was created, changed or deleted
			PartyChanged: A party was created, changed or deleted
			SeasonChanged: A season was created, changed or deleted
			SeasonalFieldChangedV2: A seasonal field was created, changed or deleted
			CropChanged: A crop was created, changed or deleted
			CropVarietyChanged: A variety was created, changed or deleted
			BoundaryChangedV2: A boundary was created, changed or deleted
			SatelliteDataIngestionJobStatusChangedV2: A job for satellite data changed its state
			WeatherDataIngestionJobStatusChangedV2: A job for weather data changed its state
			FarmOperationDataIngestionJobStatusChangedV2: A job for farm operations changed its state
		`),
	},
	{
		Name: "Microsoft.ApiManagement.Service", Source: "Microsoft.ApiManagement/service",
		DisplayName: "Azure API Management", Description: "Changes of APIs, products and users",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.ApiManagement", `
			UserCreated: A user was created
			UserUpdated: A user was changed
			UserDeleted: A user was deleted
			SubscriptionCreated: A subscription was created
			SubscriptionUpdated: A subscription was changed
			SubscriptionDeleted: A subscription was deleted
			ProductCreated: A product was created
			ProductUpdated: A product was changed
			ProductDeleted: A product was deleted
			APICreated: An API was created
			APIUpdated: An API was changed
			APIDeleted: An API was deleted
			APIReleaseCreated: A release of an API was created
			APIReleaseUpdated: A release of an API was changed
			APIReleaseDeleted: A release of an API was deleted
			GatewayCreated: A self-hosted gateway was created
			GatewayUpdated: A self-hosted gateway was changed
			GatewayDeleted: A self-hosted gateway was deleted
			GatewayAPIAdded: An API was put on a gateway
			GatewayAPIRemoved: An API was taken from a gateway
		`),
	},
	{
		Name: "Microsoft.HealthcareApis.Workspaces", Source: "Microsoft.HealthcareApis/workspaces",
		DisplayName: "Azure Health Data Services", Description: "FHIR resources and DICOM images",
		Scopes: []string{"Resource"},
		Events: events("Microsoft.HealthcareApis", `
			FhirResourceCreated: A FHIR resource was created
			FhirResourceUpdated: A FHIR resource was changed
			FhirResourceDeleted: A FHIR resource was deleted
			DicomImageCreated: A DICOM image was created
			DicomImageUpdated: A DICOM image was changed
			DicomImageDeleted: A DICOM image was deleted
		`),
	},
}

// managementEvents are raised by this server itself (see package activity).
var managementEvents = events("Microsoft.Resources", `
	ResourceWriteSuccess: A resource was created or changed
	ResourceWriteFailure: A resource could not be created or changed
	ResourceWriteCancel: Creating or changing a resource was cancelled
	ResourceDeleteSuccess: A resource was deleted
	ResourceDeleteFailure: A resource could not be deleted
	ResourceDeleteCancel: Deleting a resource was cancelled
	ResourceActionSuccess: An action on a resource was done
	ResourceActionFailure: An action on a resource failed
	ResourceActionCancel: An action on a resource was cancelled
`)
