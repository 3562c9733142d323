package eventgrid

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// PartnerTopicInfo names the partner topic and says what will arrive there.
type PartnerTopicInfo struct {
	Subscription string         `json:"azureSubscriptionId" arm:"create"`
	Group        string         `json:"resourceGroupName" arm:"create"`
	Name         string         `json:"name" arm:"create"`
	Source       string         `json:"source,omitempty" arm:"create"`
	EventTypes   *EventTypeInfo `json:"eventTypeInfo,omitempty" arm:"patch"`
}

// ID returns the id of the partner topic.
func (i *PartnerTopicInfo) ID() resource.ID {
	return resource.GroupID(i.Subscription, i.Group).Provider(TypePartnerTopic, i.Name)
}

func (i *PartnerTopicInfo) check(_ *Rules, _ *resource.Resource) error {
	if err := checkTargetName("partnerTopicInfo", i.Subscription, i.Group, i.Name); err != nil {
		return err
	}
	return checkEventTypes(i.EventTypes)
}

func (i *PartnerTopicInfo) message(now time.Time) string {
	return fmt.Sprintf("The partner topic %s was created on behalf of the publisher for source %s on %s. "+
		"If you do not recognize this source, delete the partner topic or contact the publisher. ", i.Name, i.Source, clientTime(now))
}

func (i *PartnerTopicInfo) create(w *resource.Write, channel *resource.Resource, location string, c *Channel, partner *PartnerRegistration) error {
	return createMirror(w, channel, i.ID(), location, &PartnerTopic{
		ImmutableID: partner.ImmutableID, Source: i.Source, EventTypes: i.EventTypes, ActivationState: NeverActivated, ProvisioningState: Succeeded,
		Expires: c.Expires, FriendlyDescription: c.Message, Message: c.Message,
	})
}

func (i *PartnerTopicInfo) update(w *resource.Write, mirror *resource.Resource, c *Channel) error {
	return change(w.Tx, mirror, w.Caller, w.Now, func(p *PartnerTopic) {
		p.EventTypes, p.Expires = i.EventTypes, c.Expires
	})
}

// PartnerDestinationInfo names the partner destination and says where in the
// partner's service its events go.
type PartnerDestinationInfo struct {
	Subscription   string                      `json:"azureSubscriptionId" arm:"create"`
	Group          string                      `json:"resourceGroupName" arm:"create"`
	Name           string                      `json:"name" arm:"create"`
	EndpointType   partnerEndpointType         `json:"endpointType" arm:"create"`
	ServiceContext string                      `json:"endpointServiceContext,omitempty" arm:"create"`
	Moves          resource.List[ResourceMove] `json:"resourceMoveChangeHistory" arm:"computed"`
	Endpoint       *PartnerEndpoint            `json:"properties" arm:"patch"`
}

// ResourceMove is one move of a partner destination. Resources do not move here,
// so the list of them stays empty.
type ResourceMove struct {
	Subscription string        `json:"azureSubscriptionId"`
	Group        string        `json:"resourceGroupName"`
	Changed      resource.Time `json:"changedTimeUtc"`
}

type partnerEndpointType string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *partnerEndpointType) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, t, partnerEndpointType(WebHook))
}

// PartnerEndpoint is the webhook of a partner. A PATCH changes what it sends.
type PartnerEndpoint struct {
	// EndpointURL is write-only: it moves into the secrets of the channel, and
	// reads show null.
	EndpointURL          *string               `json:"endpointUrl"`
	EndpointBaseURL      string                `json:"endpointBaseUrl,omitempty"`
	ClientAuthentication *ClientAuthentication `json:"clientAuthentication,omitempty"`
}

// ClientAuthentication makes deliveries carry a token of Microsoft Entra.
type ClientAuthentication struct {
	Type       clientAuthenticationType `json:"clientAuthenticationType"`
	Properties struct {
		TenantID      string `json:"azureActiveDirectoryTenantId"`
		ApplicationID string `json:"azureActiveDirectoryApplicationIdOrUri"`
	} `json:"properties"`
}

type clientAuthenticationType string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *clientAuthenticationType) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, t, "AzureAD")
}

// ID returns the id of the partner destination.
func (i *PartnerDestinationInfo) ID() resource.ID {
	return resource.GroupID(i.Subscription, i.Group).Provider(TypePartnerDestination, i.Name)
}

// check settles the endpoint. A URL that is left out, as in what reads show,
// stays what it was. There is no handshake with the endpoint: Azure describes
// none, and it is the partner who names it, for a service of its own.
func (i *PartnerDestinationInfo) check(r *Rules, channel *resource.Resource) error {
	if err := checkTargetName("partnerDestinationInfo", i.Subscription, i.Group, i.Name); err != nil {
		return err
	}
	if i.EndpointType == "" {
		i.EndpointType = partnerEndpointType(WebHook)
	}
	if i.Moves == nil {
		i.Moves = resource.List[ResourceMove]{}
	}
	if i.Endpoint == nil {
		i.Endpoint = &PartnerEndpoint{}
	}
	e := i.Endpoint
	base, err := r.takeURL(channel, e.EndpointURL, "Invalid Channel request")
	if err != nil {
		return err
	}
	e.EndpointURL, e.EndpointBaseURL = nil, base
	if a := e.ClientAuthentication; a != nil {
		if a.Type == "" {
			a.Type = "AzureAD"
		}
		switch tenant, app := a.Properties.TenantID, a.Properties.ApplicationID; {
		case tenant == "" || app == "":
			return resource.Invalid("Invalid Channel request: clientAuthentication.properties needs azureActiveDirectoryTenantId and azureActiveDirectoryApplicationIdOrUri.")
		case !tenantPattern.MatchString(tenant):
			return resource.Invalid("Invalid Channel request: azureActiveDirectoryTenantId '%s' is neither a GUID nor a domain name.", tenant)
		}
	}
	return nil
}

// protection returns what the endpoint of a channel asks for.
func (i *PartnerDestinationInfo) protection(channel *resource.Resource) Protection {
	if i.Endpoint == nil || i.Endpoint.ClientAuthentication == nil {
		return Protection{}
	}
	a := i.Endpoint.ClientAuthentication.Properties
	return Protection{TenantID: a.TenantID, ApplicationID: a.ApplicationID, Subscription: channel.ID.Subscription}
}

func (i *PartnerDestinationInfo) message(now time.Time) string {
	return fmt.Sprintf("The partner destination %s was created on behalf of the partner for service context %s on %s. "+
		"If you do not recognize it, delete the partner destination or contact the partner. ", i.Name, i.ServiceContext, clientTime(now))
}

func (i *PartnerDestinationInfo) create(w *resource.Write, channel *resource.Resource, location string, c *Channel, partner *PartnerRegistration) error {
	return createMirror(w, channel, i.ID(), location, &PartnerDestination{
		ImmutableID: partner.ImmutableID, ServiceContext: i.ServiceContext, EndpointBaseURL: i.Endpoint.EndpointBaseURL,
		ActivationState: NeverActivated, ProvisioningState: Succeeded, Expires: c.Expires, Message: c.Message,
	})
}

func (i *PartnerDestinationInfo) update(w *resource.Write, mirror *resource.Resource, c *Channel) error {
	return change(w.Tx, mirror, w.Caller, w.Now, func(p *PartnerDestination) {
		p.EndpointBaseURL, p.Expires = i.Endpoint.EndpointBaseURL, c.Expires
	})
}

func checkTargetName(member, subscription, group, name string) error {
	if _, err := uuid.Parse(subscription); err != nil {
		return resource.Invalid("Invalid Channel request: %s.azureSubscriptionId '%s' is not a GUID.", member, subscription)
	}
	if group == "" || strings.Contains(group, "/") {
		return resource.Invalid("Invalid Channel request: %s.resourceGroupName is required; '%s' is not the name of a resource group.", member, group)
	}
	if !namePattern.MatchString(name) {
		return resource.Invalid("Invalid Channel request: %s.name '%s' must consist of %s.", member, name, nameRule)
	}
	return nil
}

// takeURL moves the URL of an endpoint into the secrets of a resource and returns
// what reads show of it. A client that read the resource sends it back without the
// URL, or with null; then the stored one stays.
func (r *Rules) takeURL(res *resource.Resource, sent *string, prefix string) (base string, err error) {
	raw := res.Secrets[SecretEndpointURL]
	if sent != nil && *sent != "" {
		raw = *sent
	}
	raw = escapeURL(raw)
	if raw == "" {
		return "", resource.Invalid("%s: Supplied URL is invalid. It cannot be null or empty and should be a proper HTTPS URL like https://www.example.com.", prefix)
	}
	if err := r.Webhooks.Check(raw); err != nil {
		return "", resource.Invalid("%s: %s", prefix, err)
	}
	u, err := url.Parse(raw)
	if err != nil { // Check has parsed it before
		return "", resource.Invalid("%s: the endpoint URL is malformed.", prefix)
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	res.Secret(SecretEndpointURL, raw)
	return u.String(), nil
}
