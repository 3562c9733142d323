package eventgrid

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/intertie/intertie/event"
	"github.com/intertie/intertie/resource"
)

// Topic is a publish endpoint for an application's own events.
type Topic struct {
	ProvisioningState   string                `json:"provisioningState" arm:"computed"`
	Endpoint            string                `json:"endpoint,omitempty" arm:"computed"`
	InputSchema         InputSchema           `json:"inputSchema" arm:"create"`
	Mapping             *InputSchemaMapping   `json:"inputSchemaMapping,omitempty" arm:"create"`
	MetricResourceID    string                `json:"metricResourceId" arm:"computed"`
	PublicNetworkAccess NetworkAccess         `json:"publicNetworkAccess" arm:"patch" known:"2020-06-01.."`
	InboundIPRules      resource.List[IPRule] `json:"inboundIpRules,omitempty" arm:"patch" known:"2020-06-01.."`
	DisableLocalAuth    bool                  `json:"disableLocalAuth" arm:"patch" known:"2021-06-01-preview.."`
	MinimumTLSVersion   TLSVersion            `json:"minimumTlsVersionAllowed,omitempty" arm:"patch" known:"2023-06-01-preview.."`
	DataResidency       DataResidency         `json:"dataResidencyBoundary" arm:"patch" known:"2021-10-15-preview..,!2021-12-01"`
	EventTypes          *EventTypeInfo        `json:"eventTypeInfo,omitempty" arm:"patch" known:"2023-06-01-preview.."`

	// Known only to be refused: nobody should believe that their key is in use.
	Encryption *struct {
		Keys []json.RawMessage `json:"customerManagedKeyEncryption"`
	} `json:"encryption,omitempty" arm:"patch"`
	Platform *struct {
		Confidential struct {
			Mode string `json:"mode"`
		} `json:"confidentialCompute"`
	} `json:"platformCapabilities,omitempty" arm:"patch"`
}

// InputSchema is the schema of the events that a topic takes.
type InputSchema string

// The input schemas; the first is the default.
const (
	InputEventGrid   InputSchema = "EventGridSchema"
	InputCustom      InputSchema = "CustomEventSchema"
	InputCloudEvents InputSchema = "CloudEventSchemaV1_0"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (s *InputSchema) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, s, InputEventGrid, InputCustom, InputCloudEvents)
}

// Event returns the schema as the data plane knows it.
func (s InputSchema) Event() event.Schema {
	switch s {
	case InputCloudEvents:
		return event.CloudEvents
	case InputCustom:
		return event.Custom
	default:
		return event.EventGrid
	}
}

// DataResidency says where data may be kept; here it stays where it is.
type DataResidency string

// UnmarshalJSON implements [json.Unmarshaler].
func (d *DataResidency) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, d, "WithinGeopair", "WithinRegion")
}

func (r *Rules) topicKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeTopic, Names: namePattern, NameRule: nameRule,
		Tracked: true, Identity: true, Extra: []string{extraSKU, extraKind, extraLocation}, Versions: allVersions,
		// The oldest clients take 202 and 204 for a deletion, and only those.
		Status:  resource.Status{Put: 201, Delete: 204},
		Actions: keyActions(),
	}, resource.Hooks[Topic]{
		Prepare: func(w *resource.Write, res *resource.Resource, next, _ *Topic) error {
			return r.prepareTopic(w, res, next)
		},
		Delete:  deleteTopic[Topic],
		Present: func(r *resource.Resource, p *Topic, v resource.View) { p.Endpoint = endpoint(r, v) },
	})
}

// prepareTopic holds the rules that topics and domains share.
func (r *Rules) prepareTopic(w *resource.Write, res *resource.Resource, next *Topic) error {
	next.ProvisioningState = Succeeded
	if next.PublicNetworkAccess == "" {
		next.PublicNetworkAccess = AccessEnabled
	}
	if next.DataResidency == "" {
		next.DataResidency = "WithinGeopair"
	}
	if err := next.checkOffered(); err != nil {
		return err
	}
	if err := r.checkIPRules(next.InboundIPRules); err != nil {
		return err
	}
	if err := checkEventTypes(next.EventTypes); err != nil {
		return err
	}
	if err := checkExtra(res); err != nil {
		return err
	}
	if w.Old != nil {
		return nil
	}
	return r.createTopic(w, res, next)
}

func (r *Rules) createTopic(w *resource.Write, res *resource.Resource, next *Topic) error {
	if next.InputSchema == "" {
		next.InputSchema = InputEventGrid
	}
	if err := checkMapping(next.InputSchema, next.Mapping); err != nil {
		return err
	}
	if err := checkReserved(w.ID, res.Type); err != nil {
		return err
	}
	if err := r.checkRegion(res.Location, res.Type); err != nil {
		return err
	}
	if err := uniqueInRegion(w, res.Location); err != nil {
		return err
	}
	if err := r.checkTopicRoom(w, res); err != nil {
		return err
	}
	next.MetricResourceID = uuid.NewString()
	newKeys(res)
	return nil
}

func (p *Topic) checkOffered() error {
	if p.Encryption != nil && len(p.Encryption.Keys) > 0 {
		return resource.Invalid("Encryption with a customer-managed key is not offered by this server; leave 'encryption' out.")
	}
	if p.Platform != nil && p.Platform.Confidential.Mode != "" && !equalFold(p.Platform.Confidential.Mode, "Disabled") {
		return resource.Invalid("Confidential compute is not offered by this server; leave 'platformCapabilities' out.")
	}
	p.Encryption, p.Platform = nil, nil
	return nil
}

// checkReserved refuses the name that Event Grid keeps for itself. Names that begin
// with it are fine: Microsoft's own quickstarts use some.
func checkReserved(id resource.ID, typ string) error {
	if name := id.Name(); equalFold(name, "EventGrid") {
		return resource.Invalid("The name '%s' of the resource of type '%s' is invalid: it is reserved.", name, typ)
	}
	return nil
}

// checkTopicRoom counts the resources of a type in one subscription and region.
func (r *Rules) checkTopicRoom(w *resource.Write, res *resource.Resource) error {
	limit, what := r.limits().TopicsPerSubscription, "custom topics"
	if res.Type == TypeDomain {
		limit, what = r.limits().DomainsPerSubscription, "domains"
	}
	count := 0
	for _, other := range w.Tx.List(res.Type, resource.SubscriptionID(w.ID.Subscription)) {
		if other.Location == res.Location {
			count++
		}
	}
	if count >= limit {
		return resource.Errorf(resource.Conflict, "The subscription '%s' has %d %s in region '%s', as many as it can have. Delete one first.",
			w.ID.Subscription, limit, what, res.Location)
	}
	return nil
}

// inputSchemaOf returns the input schema of a topic or domain.
func inputSchemaOf(topic *resource.Resource) (event.Schema, error) {
	schema, _, err := InputOf(topic)
	return schema, err
}

// deleteTopic takes along what lives in a topic.
func deleteTopic[P any](d *resource.Deletion, r *resource.Resource, _ *P) error {
	removeWithin(d, r.ID)
	return nil
}

// maxTogether bounds the resources that one transaction of a deletion removes;
// the store takes 999.
const maxTogether = 900

// removeWithin deletes the event subscriptions, domain topics and private endpoint
// connections in a resource, and the roles assigned at or in it. A domain can hold more than fits one
// transaction: then a part goes, and the deletion is marked to be repeated.
func removeWithin(d *resource.Deletion, topic resource.ID) {
	types := append(SubscriptionTypes(), TypeDomainTopic, resource.TypeRoleAssignment)
	for _, p := range privateParents {
		types = append(types, p.connections())
	}
	left := maxTogether
	for _, typ := range types {
		for _, r := range d.Tx.List(typ, topic) {
			if r.ID.Equal(topic) {
				continue // a domain topic that is itself being deleted
			}
			if left == 0 {
				d.More = true
				return
			}
			left--
			d.Tx.Delete(r.ID)
		}
	}
}
