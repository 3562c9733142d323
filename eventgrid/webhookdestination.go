package eventgrid

import (
	"regexp"

	"github.com/intertie/intertie/resource"
)

// WebHookDestination is the properties of a webhook destination.
type WebHookDestination struct {
	// EndpointURL is write-only: it moves into the secrets and reads show null.
	EndpointURL       *string     `json:"endpointUrl"`
	EndpointBaseURL   string      `json:"endpointBaseUrl,omitempty"`
	MaxEvents         int         `json:"maxEventsPerBatch" known:"2020-06-01.."`
	PreferredKB       int         `json:"preferredBatchSizeInKilobytes" known:"2020-06-01.."`
	TenantID          string      `json:"azureActiveDirectoryTenantId,omitempty" known:"2020-06-01.."`
	ApplicationID     string      `json:"azureActiveDirectoryApplicationIdOrUri,omitempty" known:"2020-06-01.."`
	Attributes        []Attribute `json:"deliveryAttributeMappings,omitempty" known:"2021-06-01-preview.."`
	MinimumTLSVersion TLSVersion  `json:"minimumTlsVersionAllowed,omitempty" known:"2023-06-01-preview.."`
}

// WebHook returns the properties of the destination of an event subscription that
// delivers to a webhook, and false for all others.
func (p *EventSubscription) WebHook() (*WebHookDestination, bool) {
	if p.Destination == nil {
		return nil, false
	}
	hook, ok := p.Destination.Properties.(*WebHookDestination)
	return hook, ok
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

func (p *WebHookDestination) check(w *destinationWrite) error {
	if err := p.checkPlain(w.rules.limits()); err != nil {
		return err
	}
	base, err := w.rules.takeURL(w.es, p.EndpointURL, "Invalid event subscription request")
	if err != nil {
		return err
	}
	p.EndpointURL, p.EndpointBaseURL = nil, base
	if err := w.rules.audiences().Register(w.Tx, p.Protection(w.es), w.Caller, w.Now); err != nil {
		return err
	}
	return prepareAttributes(w.es, p.Attributes, p.TenantID != "")
}

// Protection returns what the endpoint of an event subscription asks for.
func (p *WebHookDestination) Protection(es *resource.Resource) Protection {
	if p.ApplicationID == "" {
		return Protection{}
	}
	return Protection{TenantID: p.TenantID, ApplicationID: p.ApplicationID, Subscription: es.ID.Subscription}
}

func (p *WebHookDestination) schemas() []DeliverySchema { return nil }

func (p *WebHookDestination) handshake(es *resource.Resource) *Handshake {
	return &Handshake{URL: es.Secrets[SecretEndpointURL], Protection: p.Protection(es)}
}

func (p *WebHookDestination) deliver(_ resource.Reader, es *resource.Resource) (Delivery, error) {
	d := Delivery{
		State: Open, URL: es.Secrets[SecretValidatedURL], Protection: p.Protection(es),
		Batch: p.Batches(), MaxEvents: p.MaxEvents, PreferredKB: p.PreferredKB, MinimumTLSVersion: p.MinimumTLSVersion,
	}
	if d.URL == "" {
		d.State, d.Reason = Unconsented, "its endpoint has not consented"
	}
	var err error
	d.Attributes, err = DeliveryAttributes(es)
	return d, err
}

// tenantPattern admits a GUID or a domain name; it becomes part of a URL.
var tenantPattern = regexp.MustCompile(`^[a-zA-Z0-9][-.a-zA-Z0-9]{0,254}$`)

// checkPlain fills in and checks what does not touch secrets.
func (p *WebHookDestination) checkPlain(l Limits) error {
	if p.MaxEvents == 0 {
		p.MaxEvents = defaultMaxEvents
	}
	if p.PreferredKB == 0 {
		p.PreferredKB = min(defaultPreferredKB, l.BatchKilobytes)
	}
	switch {
	case p.MaxEvents < 1 || p.MaxEvents > l.BatchEvents:
		return resource.Invalid("Invalid event subscription request: maxEventsPerBatch is %d; it must lie between 1 and %d.", p.MaxEvents, l.BatchEvents)
	case p.PreferredKB < 1 || p.PreferredKB > l.BatchKilobytes:
		return resource.Invalid("Invalid event subscription request: preferredBatchSizeInKilobytes is %d; it must lie between 1 and %d.", p.PreferredKB, l.BatchKilobytes)
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
