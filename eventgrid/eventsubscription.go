package eventgrid

import (
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
	RetryPolicy       *RetryPolicy           `json:"retryPolicy" arm:"patch" known:"2018-05-01-preview.."`
	DeadLetter        *DeadLetterDestination `json:"deadLetterDestination,omitempty" arm:"patch" known:"2018-05-01-preview.."`
	Expires           *resource.Time         `json:"expirationTimeUtc,omitempty" arm:"patch" known:"2019-06-01.."`

	// Delivery with a managed identity is known only to be refused by name.
	Identity           json.RawMessage `json:"deliveryWithResourceIdentity,omitempty" arm:"patch"`
	DeadLetterIdentity json.RawMessage `json:"deadLetterWithResourceIdentity,omitempty" arm:"patch"`
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

// States of provisioning that only event subscriptions have.
const (
	AwaitingManualAction = "AwaitingManualAction"
	Failed               = "Failed"
)

var subscriptionNamePattern = regexp.MustCompile(`^[-a-zA-Z0-9]{3,100}$`)

// eventSubscriptionKind declares the event subscriptions of one kind of topic.
func (r *Rules) eventSubscriptionKind(f *family) *resource.Kind {
	return resource.Define(resource.Spec{
		Type: f.subscription, Names: subscriptionNamePattern, NameRule: "3 to 100 letters, digits and hyphens",
		Versions: f.versions, FlatPatch: true,
		Status: resource.Status{Put: 201, Patch: 201},
		Actions: resource.Actions(
			resource.Action{Name: "getFullUrl", Reads: true, Do: getFullURL},
			resource.Action{Name: "getDeliveryAttributes", Reads: true, Do: getDeliveryAttributes},
			resource.Action{Name: "getDeliveryStatus", Reads: true, Do: r.getDeliveryStatus},
		),
	}, resource.Hooks[EventSubscription]{
		Prepare: func(w *resource.Write, res *resource.Resource, next, old *EventSubscription) error {
			return r.prepareEventSubscription(f, w, res, next, old)
		},
		Consult: r.consultEndpoint,
		Delete: func(d *resource.Deletion, res *resource.Resource, _ *EventSubscription) error {
			return releaseTopic(d, res)
		},
		Present: presentEventSubscription,
		Due:     dueOfEventSubscription,
		Expire:  expireEventSubscription,
	})
}

func (r *Rules) prepareEventSubscription(f *family, w *resource.Write, res *resource.Resource, next, old *EventSubscription) error {
	topic, ok := w.Tx.Get(w.ID.Parent())
	if !ok {
		return parentNotFound(f.what, w.ID.Parent())
	}
	if given(next.Identity) || given(next.DeadLetterIdentity) {
		return resource.Invalid("Invalid event subscription request: delivery with a managed identity is not offered by this server; use 'destination' and 'deadLetterDestination'.")
	}
	next.Identity, next.DeadLetterIdentity = nil, nil
	// Stored for the handshake, which has no view of other resources.
	next.Topic = SourceOf(w.Tx, topic).String()
	if err := r.prepareDestination(f, w, res, topic, next, old); err != nil {
		return err
	}
	if err := checkFilter(next, topicTypeNamed(TopicTypeName(w.Tx, topic))); err != nil {
		return err
	}
	if err := checkRetryPolicy(next); err != nil {
		return err
	}
	var before *DeadLetterDestination
	if old != nil {
		before = old.DeadLetter
	}
	if err := checkDeadLetter(w, next.DeadLetter, before); err != nil {
		return err
	}
	if err := checkExpiration(w, next); err != nil {
		return err
	}
	if err := r.checkSubscriptionRoom(f, w); err != nil {
		return err
	}
	return r.settleConsent(w, res, next)
}

// checkSubscriptionRoom holds the limit of subscriptions per topic. It also keeps
// a topic and all that goes with it small enough to be deleted as one unit.
func (r *Rules) checkSubscriptionRoom(f *family, w *resource.Write) error {
	topic, limit := w.ID.Parent(), f.limit(r.limits())
	if w.Old == nil && len(w.Tx.List(f.subscription, topic)) >= limit {
		return resource.Errorf(resource.Conflict, "The %s '%s' has %d event subscriptions, as many as it can have. Delete one first.",
			f.what, topic.Name(), limit)
	}
	return nil
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// checkFilter completes and checks the filter. Where a topic type has a default
// set, a filter that names no types means those, and says so from then on.
func checkFilter(next *EventSubscription, t *TopicType) error {
	if next.Filter == nil {
		next.Filter = &Filter{}
	}
	if t != nil && len(next.Filter.IncludedEventTypes) == 0 {
		next.Filter.IncludedEventTypes = t.defaultSet()
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

func checkExpiration(w *resource.Write, next *EventSubscription) error {
	if next.Expires == nil {
		return nil
	}
	if at := next.Expires.Std(); !at.After(w.Now) {
		return resource.Invalid("Invalid event subscription request: expirationTimeUtc '%s' lies in the past.", at.Format(time.RFC3339))
	}
	return nil
}

// presentEventSubscription shows as topic what the client asked about: the scope
// of the extension form, or the topic of the nested one.
func presentEventSubscription(r *resource.Resource, p *EventSubscription, v resource.View) {
	topic := r.ID.Parent()
	if !v.Route.IsRoot() {
		topic = v.Route.Parent()
	}
	p.Topic = presentTopic(topic)
}

// presentTopic writes provider and type segments in lower case, as the service
// does in this one property.
func presentTopic(topic resource.ID) string {
	if topic.Namespace == "" {
		return topic.String()
	}
	lower := topic.Scope().Provider(strings.ToLower(topic.Type()), topic.Names...)
	return lower.String()
}

// getFullURL answers null where there is no URL: not every destination and every
// channel has one.
func getFullURL(c *resource.Call) (any, error) {
	var url *string
	if u, ok := c.Resource.Secrets[SecretEndpointURL]; ok {
		url = &u
	}
	return map[string]*string{"endpointUrl": url}, nil
}

func getDeliveryAttributes(c *resource.Call) (any, error) {
	all, err := DeliveryAttributes(c.Resource)
	if err != nil {
		return nil, err
	}
	return map[string][]Attribute{"value": all}, nil
}

// getDeliveryStatus is an action of ours: Azure shows such things in metrics only.
func (r *Rules) getDeliveryStatus(c *resource.Call) (any, error) {
	if r.Deliveries != nil {
		if status, ok := r.Deliveries.Status(c.Resource.UID); ok {
			return status, nil
		}
	}
	return nil, resource.Errorf(resource.NotFound,
		"Nothing is known of the delivery to the event subscription '%s': it has no endpoint that consented, or was just created.", c.Resource.ID.Name())
}

// releaseTopic removes the topic of a subscription that is being deleted where
// the topic is there for its subscriptions alone and this was the last: a domain
// topic, whatever created it, unless its domain says otherwise; and the system
// topic that came with an extension subscription.
func releaseTopic(d *resource.Deletion, last *resource.Resource) error {
	topic, ok := d.Tx.Get(last.ID.Parent())
	if !ok {
		return nil
	}
	goes, err := goesWithLast(d.Tx, topic)
	if err != nil || !goes {
		return err
	}
	for _, other := range d.Tx.List(last.Type, topic.ID) {
		if !other.ID.Equal(last.ID) {
			return nil
		}
	}
	removeWithin(d, topic.ID)
	resource.DeleteWhole(d.Tx, topic.ID)
	return nil
}

func goesWithLast(tx resource.Tx, topic *resource.Resource) (bool, error) {
	switch topic.Type {
	case TypeSystemTopic:
		return topic.Secrets[secretHidden] != "", nil
	case TypeDomainTopic:
		domain, ok := tx.Get(topic.ID.Parent())
		if !ok {
			return false, nil
		}
		p, err := resource.Properties[Domain](domain)
		if err != nil {
			return false, err
		}
		return p.autoDeletes(), nil
	default:
		return false, nil
	}
}
