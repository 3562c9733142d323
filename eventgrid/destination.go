package eventgrid

import (
	"net/url"
	"regexp"

	"github.com/intertie/intertie/resource"
)

// EndpointType is the kind of a destination.
type EndpointType string

// WebHook is an HTTP endpoint.
const WebHook EndpointType = "WebHook"

// UnmarshalJSON implements [json.Unmarshaler]. Azure's other kinds are known by
// name only to say that they are not offered.
func (t *EndpointType) UnmarshalJSON(data []byte) error {
	var known EndpointType
	err := resource.ParseEnum(data, &known, WebHook, "AzureFunction", "EventHub", "ServiceBusQueue", "ServiceBusTopic",
		"HybridConnection", "StorageQueue", "PartnerDestination", "MonitorAlert", "NamespaceTopic")
	if err != nil {
		return err
	}
	if known != WebHook {
		return resource.Invalid("Invalid event subscription request: destinations of endpointType '%s' are not offered by this server yet; use WebHook.", known)
	}
	*t = known
	return nil
}

// Destination says where a subscription's events go.
type Destination struct {
	EndpointType EndpointType        `json:"endpointType"`
	Properties   *WebHookDestination `json:"properties"`
}

// UnmarshalJSON replaces the whole destination: a PATCH sends it complete but
// for what reads do not show.
func (d *Destination) UnmarshalJSON(data []byte) error {
	type plain Destination
	var fresh plain
	if err := resource.DecodeMember("destination", data, &fresh); err != nil {
		return err
	}
	*d = Destination(fresh)
	return nil
}

// WebHookDestination is the properties of a webhook destination.
type WebHookDestination struct {
	// EndpointURL is write-only: it moves into the secrets and reads show null.
	EndpointURL       *string     `json:"endpointUrl"`
	EndpointBaseURL   string      `json:"endpointBaseUrl,omitempty"`
	MaxEvents         int         `json:"maxEventsPerBatch"`
	PreferredKB       int         `json:"preferredBatchSizeInKilobytes"`
	TenantID          string      `json:"azureActiveDirectoryTenantId,omitempty"`
	ApplicationID     string      `json:"azureActiveDirectoryApplicationIdOrUri,omitempty"`
	Attributes        []Attribute `json:"deliveryAttributeMappings,omitempty"`
	MinimumTLSVersion TLSVersion  `json:"minimumTlsVersionAllowed,omitempty"`
}

// Azure's defaults: one event per request.
const (
	defaultMaxEvents   = 1
	defaultPreferredKB = 64
)

// Names of the secrets of an event subscription. Events go only to the
// validated URL: the one whose endpoint has consented.
const (
	SecretEndpointURL  = "endpointUrl"
	SecretValidatedURL = "validatedUrl"
)

// prepareWebHook checks a destination and moves its URL into the secrets. A
// client that read the destination sends it back without the URL, or with null;
// then the stored one stays.
func (r *Rules) prepareWebHook(res *resource.Resource, d *Destination) error {
	if d == nil {
		return resource.Invalid("Invalid event subscription request: the property 'destination' is required.")
	}
	if d.EndpointType == "" || d.Properties == nil {
		return resource.Invalid("Invalid event subscription request: the destination needs 'endpointType' and 'properties'.")
	}
	p := d.Properties
	if err := p.check(); err != nil {
		return err
	}
	raw := res.Secrets[SecretEndpointURL]
	if p.EndpointURL != nil && *p.EndpointURL != "" {
		raw = *p.EndpointURL
	}
	p.EndpointURL = nil
	if raw == "" {
		return resource.Invalid("Invalid event subscription request: Supplied URL is invalid. It cannot be null or empty and should be a proper HTTPS URL like https://www.example.com.")
	}
	if err := r.Webhooks.Check(raw); err != nil {
		return resource.Invalid("Invalid event subscription request: %s", err)
	}
	u, err := url.Parse(raw)
	if err != nil { // Check has parsed it before
		return resource.Invalid("Invalid event subscription request: the endpoint URL is malformed.")
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	p.EndpointBaseURL = u.String()
	res.Secret(SecretEndpointURL, raw)
	return prepareAttributes(res, p)
}

// Limits of output batching.
const (
	maxBatchEvents = 5000
	maxBatchKB     = 1024
)

// tenantPattern admits a GUID or a domain name; it becomes part of a URL.
var tenantPattern = regexp.MustCompile(`^[a-zA-Z0-9][-.a-zA-Z0-9]{0,254}$`)

// check fills in and checks what does not touch secrets.
func (p *WebHookDestination) check() error {
	if p.MaxEvents == 0 {
		p.MaxEvents = defaultMaxEvents
	}
	if p.PreferredKB == 0 {
		p.PreferredKB = defaultPreferredKB
	}
	switch {
	case p.MaxEvents < 1 || p.MaxEvents > maxBatchEvents:
		return resource.Invalid("Invalid event subscription request: maxEventsPerBatch is %d; it must lie between 1 and %d.", p.MaxEvents, maxBatchEvents)
	case p.PreferredKB < 1 || p.PreferredKB > maxBatchKB:
		return resource.Invalid("Invalid event subscription request: preferredBatchSizeInKilobytes is %d; it must lie between 1 and %d.", p.PreferredKB, maxBatchKB)
	case (p.TenantID == "") != (p.ApplicationID == ""):
		return resource.Invalid("Invalid event subscription request: azureActiveDirectoryTenantId and azureActiveDirectoryApplicationIdOrUri belong together; set both or none.")
	case p.TenantID != "" && !tenantPattern.MatchString(p.TenantID):
		return resource.Invalid("Invalid event subscription request: azureActiveDirectoryTenantId '%s' is neither a GUID nor a domain name.", p.TenantID)
	}
	return nil
}

// Batches reports whether deliveries carry several events: when either limit is
// set above its default.
func (p *WebHookDestination) Batches() bool {
	return p.MaxEvents > defaultMaxEvents || p.PreferredKB > defaultPreferredKB
}
