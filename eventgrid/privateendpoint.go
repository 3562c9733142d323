package eventgrid

import (
	"regexp"

	"github.com/intertie/intertie/resource"
)

// Private endpoints lead from a virtual network of Azure to a resource. There are
// no such networks here: connections are records that can be made, approved and
// deleted, so that templates and scripts work, and they let nothing through.

// privateParent is a type of resource that can have private endpoints.
type privateParent struct {
	parent string
	group  string // what a connection can be to; there is one for each type
	what   string // in texts
	// versions are since when both types are known.
	versions []string
}

var privateParents = []*privateParent{
	{TypeTopic, "topic", "topic", since("2020-04-01-preview")},
	{TypeDomain, "domain", "domain", since("2020-04-01-preview")},
	{TypePartnerNamespace, "partnernamespace", "partner namespace", channelVersions},
}

func (p *privateParent) connections() string { return p.parent + "/privateEndpointConnections" }

// PrivateEndpointConnection is a request of a private endpoint to be let in, and
// what became of it.
type PrivateEndpointConnection struct {
	PrivateEndpoint   *PrivateEndpoint      `json:"privateEndpoint,omitempty"`
	GroupIDs          resource.List[string] `json:"groupIds" arm:"create"`
	State             *PrivateLinkState     `json:"privateLinkServiceConnectionState" arm:"patch"`
	ProvisioningState string                `json:"provisioningState" arm:"computed"`
}

// PrivateEndpoint names a private endpoint.
type PrivateEndpoint struct {
	ID string `json:"id" arm:"create"`
}

// PrivateLinkState says whether a connection is let in.
type PrivateLinkState struct {
	Status          PrivateLinkStatus `json:"status"`
	Description     string            `json:"description"`
	ActionsRequired string            `json:"actionsRequired"`
}

// PrivateLinkStatus is the state of a connection.
type PrivateLinkStatus string

// The states of a connection.
const (
	LinkPending      PrivateLinkStatus = "Pending"
	LinkApproved     PrivateLinkStatus = "Approved"
	LinkRejected     PrivateLinkStatus = "Rejected"
	LinkDisconnected PrivateLinkStatus = "Disconnected"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (s *PrivateLinkStatus) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, s, LinkPending, LinkApproved, LinkRejected, LinkDisconnected)
}

const typePrivateEndpoint = "Microsoft.Network/privateEndpoints"

// connectionPattern admits what Azure makes, the name of the endpoint and a GUID,
// and what people write.
var connectionPattern = regexp.MustCompile(`^[a-zA-Z0-9](?:[-_.a-zA-Z0-9]{0,158}[_a-zA-Z0-9])?$`)

func (r *Rules) privateEndpointKind(p *privateParent) *resource.Kind {
	return resource.Define(resource.Spec{
		Type: p.connections(), Names: connectionPattern, NameRule: "1 to 160 letters, digits, dots, hyphens and underscores", Versions: p.versions,
		// As for topics: clients take 202 and 204 for a deletion, and only those.
		Status: resource.Status{Delete: 204},
	}, resource.Hooks[PrivateEndpointConnection]{
		Prepare: func(w *resource.Write, _ *resource.Resource, next, old *PrivateEndpointConnection) error {
			return r.prepareConnection(p, w, next, old)
		},
	})
}

func (r *Rules) prepareConnection(p *privateParent, w *resource.Write, next, old *PrivateEndpointConnection) error {
	next.ProvisioningState = Succeeded
	if old == nil {
		if err := r.checkNewConnection(p, w, next); err != nil {
			return err
		}
	}
	if next.State == nil {
		next.State = &PrivateLinkState{}
	}
	s, before := next.State, LinkPending
	if s.Status == "" {
		s.Status = LinkPending
	}
	if s.ActionsRequired == "" {
		s.ActionsRequired = "None"
	}
	if old != nil {
		before = old.State.Status
	}
	if s.Status == before {
		return nil
	}
	// Asking to be let in is one thing, deciding about it another.
	return w.Require(p.parent+"/PrivateEndpointConnectionsApproval/action", w.ID.Parent())
}

func (r *Rules) checkNewConnection(p *privateParent, w *resource.Write, next *PrivateEndpointConnection) error {
	if next.PrivateEndpoint == nil || next.PrivateEndpoint.ID == "" {
		return resource.Invalid("The property 'privateEndpoint.id' is required: the id of the private endpoint that the connection is from.")
	}
	id, err := resource.ParseID(next.PrivateEndpoint.ID)
	if err != nil || !equalFold(id.Type(), typePrivateEndpoint) || !resource.InGroup.Holds(id.Scope()) {
		return resource.Invalid("privateEndpoint.id '%s' is not the id of a private endpoint.", next.PrivateEndpoint.ID)
	}
	// Whoever decides about the connection goes by whose endpoint it says it is.
	if err := w.Require(typePrivateEndpoint+"/write", id); err != nil {
		return err
	}
	if len(next.GroupIDs) == 0 {
		next.GroupIDs = resource.List[string]{p.group}
	}
	for i, g := range next.GroupIDs {
		if !equalFold(g, p.group) {
			return resource.Invalid("groupIds holds '%s'; a %s has the group '%s' only.", g, p.what, p.group)
		}
		next.GroupIDs[i] = p.group
	}
	limit, parent := r.limits().PrivateEndpoints, w.ID.Parent()
	if len(w.Tx.List(p.connections(), parent)) >= limit {
		return resource.Errorf(resource.Conflict, "The %s '%s' has %d private endpoint connections, as many as it can have. Delete one first.",
			p.what, parent.Name(), limit)
	}
	return nil
}

// linkResources declares what a private endpoint can be to.
func (p *privateParent) linkResources() *Derived {
	typ := p.parent + "/privateLinkResources"
	return &Derived{
		Type: typ, Parent: p.parent, Versions: p.versions,
		Items: func(_ resource.Reader, parent *resource.Resource) ([]Item, error) {
			return []Item{{
				ID: parent.ID.Child("privateLinkResources", p.group).String(), Name: p.group, Type: typ,
				Properties: PrivateLinkResource{
					GroupID: p.group, DisplayName: "Event Grid " + p.what,
					RequiredMembers: []string{p.group}, RequiredZoneNames: []string{"privatelink.eventgrid.azure.net"},
				},
			}}, nil
		},
	}
}

// PrivateLinkResource is one thing that a private endpoint can be to.
type PrivateLinkResource struct {
	GroupID           string   `json:"groupId"`
	DisplayName       string   `json:"displayName"`
	RequiredMembers   []string `json:"requiredMembers"`
	RequiredZoneNames []string `json:"requiredZoneNames"`
}
