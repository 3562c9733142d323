package eventgrid

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/intertie/intertie/filter"
	"github.com/intertie/intertie/resource"
)

// EventSubscription routes the matching events of its topic to a destination.
type EventSubscription struct {
	Topic             string                 `json:"topic" arm:"computed"`
	ProvisioningState string                 `json:"provisioningState" arm:"computed"`
	Labels            resource.List[string]  `json:"labels" arm:"patch"`
	Schema            DeliverySchema         `json:"eventDeliverySchema" arm:"create"`
	Destination       *Destination           `json:"destination" arm:"patch"`
	Filter            *Filter                `json:"filter" arm:"patch"`
	RetryPolicy       *RetryPolicy           `json:"retryPolicy" arm:"patch"`
	DeadLetter        *DeadLetterDestination `json:"deadLetterDestination,omitempty" arm:"patch"`
	Expires           *resource.Time         `json:"expirationTimeUtc,omitempty" arm:"patch"`

	// Delivery with a managed identity is known only to be refused by name.
	Identity           json.RawMessage `json:"deliveryWithResourceIdentity,omitempty" arm:"patch"`
	DeadLetterIdentity json.RawMessage `json:"deadLetterWithResourceIdentity,omitempty" arm:"patch"`
}

// DeliverySchema is the schema in which events are delivered.
type DeliverySchema string

// CloudEventSchema is the only schema that CloudEvents can be delivered in:
// the others have no place for extension attributes.
const CloudEventSchema DeliverySchema = "CloudEventSchemaV1_0"

// UnmarshalJSON implements [json.Unmarshaler].
func (s *DeliverySchema) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, s, CloudEventSchema, "EventGridSchema", "CustomInputSchema")
}

// Filter selects events. A PATCH replaces it as a whole: a condition that is left
// out is taken away, as there is no other way to do so.
type Filter struct{ filter.Spec }

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Filter) UnmarshalJSON(data []byte) error {
	var fresh filter.Spec
	if err := json.Unmarshal(data, &fresh); err != nil {
		return err
	}
	f.Spec = fresh
	return nil
}

// RetryPolicy bounds how long an event is tried. Whichever limit comes first
// ends it.
type RetryPolicy struct {
	MaxDeliveryAttempts      int `json:"maxDeliveryAttempts"`
	EventTimeToLiveInMinutes int `json:"eventTimeToLiveInMinutes"`
}

// UnmarshalJSON changes only what was sent, and refuses a zero that was: it
// would look like a member left out.
func (p *RetryPolicy) UnmarshalJSON(data []byte) error {
	var sent struct {
		Attempts *int `json:"maxDeliveryAttempts"`
		Minutes  *int `json:"eventTimeToLiveInMinutes"`
	}
	if err := json.Unmarshal(data, &sent); err != nil {
		return err
	}
	if sent.Attempts != nil {
		if p.MaxDeliveryAttempts = *sent.Attempts; p.MaxDeliveryAttempts < 1 {
			return p.outside()
		}
	}
	if sent.Minutes != nil {
		if p.EventTimeToLiveInMinutes = *sent.Minutes; p.EventTimeToLiveInMinutes < 1 {
			return p.outside()
		}
	}
	return nil
}

func (p *RetryPolicy) outside() error {
	return resource.Invalid("Invalid event subscription request: retryPolicy takes maxDeliveryAttempts between 1 and %d and eventTimeToLiveInMinutes between 1 and %d; they are %d and %d.",
		maxDeliveryAttempts, maxTimeToLive, p.MaxDeliveryAttempts, p.EventTimeToLiveInMinutes)
}

// Azure's limits, which are its defaults as well.
const (
	maxDeliveryAttempts = 30
	maxTimeToLive       = 1440 // minutes
)

// DeadLetterDestination is where events go that could not be delivered.
type DeadLetterDestination struct {
	EndpointType string             `json:"endpointType"`
	Properties   *StorageBlobTarget `json:"properties"`
}

// StorageBlobTarget names a container in a storage account.
type StorageBlobTarget struct {
	ResourceID string `json:"resourceId"`
	Container  string `json:"blobContainerName"`
}

// States of provisioning that only event subscriptions have.
const (
	AwaitingManualAction = "AwaitingManualAction"
	Failed               = "Failed"
)

var (
	subscriptionNamePattern = regexp.MustCompile(`^[-a-zA-Z0-9]{3,100}$`)
	containerPattern        = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9])+$`)
	// Azure takes 3 to 24 lower-case letters and digits. More may be bound to real
	// addresses here, but nothing that means something in a file path.
	accountPattern = regexp.MustCompile(`^[a-zA-Z0-9][-a-zA-Z0-9]{0,62}$`)
)

func (r *Rules) partnerTopicEventSubscriptionKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypePartnerTopicEventSubscription, Names: subscriptionNamePattern, NameRule: "3 to 100 letters, digits and hyphens",
		Versions: partnerVersions, FlatPatch: true,
		Status: resource.Status{Put: 201, Patch: 201},
		Actions: map[string]resource.Action{
			"getfullurl": {Reads: true, Do: func(c *resource.Call) (any, error) {
				return map[string]string{"endpointUrl": c.Resource.Secrets[SecretEndpointURL]}, nil
			}},
			// No destination carries attributes yet, so every answer is empty.
			"getdeliveryattributes": {Reads: true, Do: func(*resource.Call) (any, error) {
				return map[string]any{"value": []any{}}, nil
			}},
		},
	}, resource.Hooks[EventSubscription]{
		Prepare: r.prepareEventSubscription,
		Consult: r.consultEndpoint,
		Present: func(r *resource.Resource, p *EventSubscription, _ resource.View) {
			p.Topic = presentTopic(r.ID.Parent())
		},
	})
}

func (r *Rules) prepareEventSubscription(w *resource.Write, res *resource.Resource, next, _ *EventSubscription) error {
	if _, ok := w.Tx.Get(w.ID.Parent()); !ok {
		return resource.Errorf(resource.ParentNotFound, "The partner topic '%s' could not be found.", w.ID.Parent().Name())
	}
	if given(next.Identity) || given(next.DeadLetterIdentity) {
		return resource.Invalid("Invalid event subscription request: delivery with a managed identity is not offered by this server; use 'destination' and 'deadLetterDestination'.")
	}
	switch next.Schema {
	case "":
		next.Schema = CloudEventSchema
	case CloudEventSchema:
	default:
		return resource.Invalid("Invalid event subscription request: a partner topic takes CloudEvents, which can be delivered only as CloudEventSchemaV1_0, not as %s.", next.Schema)
	}
	if err := r.prepareWebHook(res, next.Destination); err != nil {
		return err
	}
	if err := checkFilter(next); err != nil {
		return err
	}
	if err := checkRetryPolicy(next); err != nil {
		return err
	}
	if err := checkDeadLetter(next.DeadLetter); err != nil {
		return err
	}
	if err := checkExpiration(w, next); err != nil {
		return err
	}
	if err := checkRoom(w); err != nil {
		return err
	}
	return settleConsent(w, res, next)
}

// maxEventSubscriptions is Azure's limit per topic. It also keeps a topic and
// all that goes with it small enough to be deleted as one unit.
const maxEventSubscriptions = 500

func checkRoom(w *resource.Write) error {
	topic := w.ID.Parent()
	if w.Old == nil && len(w.Tx.List(TypePartnerTopicEventSubscription, topic)) >= maxEventSubscriptions {
		return resource.Errorf(resource.Conflict, "The partner topic '%s' has %d event subscriptions, as many as it can have. Delete one first.",
			topic.Name(), maxEventSubscriptions)
	}
	return nil
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func checkFilter(next *EventSubscription) error {
	if next.Filter == nil {
		next.Filter = &Filter{}
	}
	if _, err := filter.Compile(next.Filter.Spec); err != nil {
		return filterError("Invalid event subscription request", err)
	}
	return nil
}

// filterError says what is wrong with a filter in the words of package filter.
func filterError(prefix string, err error) error {
	e := resource.Invalid("%s: %s", prefix, err)
	if fe, ok := errors.AsType[*filter.Error](err); ok {
		e = resource.Invalid("%s: %s", prefix, fe.Message)
		e.Target = fe.Target
	}
	return e
}

func checkRetryPolicy(next *EventSubscription) error {
	if next.RetryPolicy == nil {
		next.RetryPolicy = &RetryPolicy{}
	}
	p := next.RetryPolicy
	if p.MaxDeliveryAttempts == 0 {
		p.MaxDeliveryAttempts = maxDeliveryAttempts
	}
	if p.EventTimeToLiveInMinutes == 0 {
		p.EventTimeToLiveInMinutes = maxTimeToLive
	}
	if p.MaxDeliveryAttempts > maxDeliveryAttempts || p.EventTimeToLiveInMinutes > maxTimeToLive {
		return p.outside()
	}
	return nil
}

func checkDeadLetter(d *DeadLetterDestination) error {
	if d == nil {
		return nil
	}
	if !equalFold(d.EndpointType, "StorageBlob") || d.Properties == nil {
		return resource.Invalid("Invalid event subscription request: deadLetterDestination must have endpointType 'StorageBlob' and properties with resourceId and blobContainerName.")
	}
	d.EndpointType = "StorageBlob"
	id, err := resource.ParseID(d.Properties.ResourceID)
	if err != nil || !equalFold(id.Type(), "Microsoft.Storage/storageAccounts") || !accountPattern.MatchString(id.Name()) {
		return resource.Invalid("Invalid event subscription request: deadLetterDestination.properties.resourceId '%s' is not the id of a storage account.", d.Properties.ResourceID)
	}
	if c := d.Properties.Container; len(c) < 3 || len(c) > 63 || !containerPattern.MatchString(c) {
		return resource.Invalid("Invalid event subscription request: blobContainerName '%s' must have 3 to 63 lower-case letters, digits and single hyphens.", d.Properties.Container)
	}
	return nil
}

func checkExpiration(w *resource.Write, next *EventSubscription) error {
	if next.Expires == nil {
		return nil
	}
	if at := next.Expires.Std(); !at.After(w.Now) {
		return resource.Invalid("Invalid event subscription request: expirationTimeUtc '%s' lies in the past.", at.Format(time.RFC3339))
	}
	return nil
}

// consent is what the handshake with the endpoint brought. It is a
// [resource.Proof]: until the write is over, a callback may still arrive.
type consent struct {
	url         string // that was asked; consent to one says nothing of another
	granted     bool
	code, token string
	validations *Validations
}

// Forget implements [resource.Proof].
func (c *consent) Forget() { c.validations.end(c.code) }

// consultEndpoint asks the endpoint whether it wants these events: at every
// create and every update, as Event Grid does.
func (r *Rules) consultEndpoint(ctx context.Context, res *resource.Resource, _, _ *EventSubscription) (any, error) {
	c := &consent{url: res.Secrets[SecretEndpointURL], validations: r.Validations}
	c.code, c.token = r.Validations.begin()
	var err error
	c.granted, err = r.Webhooks.Handshake(ctx, Handshake{
		URL: c.url, SubscriptionName: res.ID.Name(), Topic: res.ID.Parent().String(),
		SubscriptionID: res.ID.String(), Code: c.code, Token: c.token,
	})
	if err != nil {
		c.Forget()
		return nil, resource.Errorf(resource.URLValidation,
			"The attempt to validate the provided endpoint %s failed. %s For more details, visit https://aka.ms/esvalidation.",
			baseURL(c.url), err)
	}
	return c, nil
}

// settleConsent turns the outcome of the handshake into the new state. Until an
// endpoint has consented, events keep going to the one that had before.
func settleConsent(w *resource.Write, res *resource.Resource, next *EventSubscription) error {
	c, ok := w.Proof.(*consent)
	if !ok {
		next.ProvisioningState = "Creating" // dry run; nobody sees it
		return nil
	}
	if c.url != res.Secrets[SecretEndpointURL] {
		return resource.Errorf(resource.Conflict, "The event subscription '%s' was changed by another request meanwhile; repeat this one.", res.ID.Name())
	}
	// Asked as late as here, inside the transaction: a callback that comes after
	// this waits for the transaction and finds the pending consent stored.
	if c.validations.end(c.code) {
		c.granted = true
	}
	if c.granted {
		next.ProvisioningState = Succeeded
		res.Secret(SecretValidatedURL, res.Secrets[SecretEndpointURL])
		res.Secret(secretValidation, "")
		return nil
	}
	next.ProvisioningState = AwaitingManualAction
	pending, err := json.Marshal(pendingValidation{Code: c.code, Token: c.token, Deadline: w.Now.Add(ValidationWindow)})
	if err != nil {
		return err
	}
	res.Secret(secretValidation, string(pending))
	return nil
}

// presentTopic writes provider and type segments in lower case, as the service
// does in this one property.
func presentTopic(topic resource.ID) string {
	lower := topic.Scope().Provider(strings.ToLower(topic.Type()), topic.Names...)
	return lower.String()
}

func baseURL(raw string) string {
	base, _, _ := strings.Cut(raw, "?")
	return base
}
