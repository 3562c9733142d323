package eventgrid

import (
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// Every event subscription is stored under a topic. The extension form of its id,
// {scope}/providers/Microsoft.EventGrid/eventSubscriptions/{name}, is another way
// to the same resource: this file leads from scopes to topics and back.

// Home returns the topic that stores the event subscriptions on a scope: the
// scope itself when it is a topic of Event Grid, otherwise the system topic whose
// source it is. It returns false when there is no such topic.
func Home(tx resource.Tx, scope resource.ID) (topic resource.ID, ok bool) {
	if familyOfTopic(scope.Type()) != nil {
		r, ok := tx.Get(scope)
		if !ok {
			return resource.ID{}, false
		}
		return r.ID, true
	}
	t := topicTypeOfSource(scope)
	if t == nil {
		return resource.ID{}, false
	}
	r := systemTopicOf(tx, scope, t.Name)
	if r == nil {
		return resource.ID{}, false
	}
	return r.ID, true
}

// MakeHome is [Home] before a subscription is created: it writes what is missing,
// which can be a domain topic or the system topic of a source. It has to run in
// the transaction that then writes the subscription, and in one that shows its
// own writes. Running it again makes the same ids.
//
// It fails with ParentNotFound where there is no topic and none may be made, and
// with InvalidRequest for a scope that raises no events.
func (r *Rules) MakeHome(tx resource.Tx, scope resource.ID, caller string, now time.Time) (resource.ID, error) {
	if home, ok := Home(tx, scope); ok {
		return home, nil
	}
	if f := familyOfTopic(scope.Type()); f != nil {
		if f.topic == TypeDomainTopic {
			return r.autoCreateDomainTopic(tx, scope, caller, now)
		}
		return resource.ID{}, parentNotFound(f.what, scope)
	}
	t := topicTypeOfSource(scope)
	if t == nil {
		return resource.ID{}, resource.Invalid(
			"Invalid event subscription request: a resource of type '%s' raises no events that this server knows, so there is nothing to subscribe to at '%s'.", scope.Type(), scope)
	}
	return hiddenSystemTopic(tx, t, scope, caller, now)
}

// defaultGroup is where Event Grid puts the system topic of a subscription.
const defaultGroup = "Default-EventGrid"

// unnamable is what a source's name may hold and a system topic's may not.
var unnamable = regexp.MustCompile(`[^-a-zA-Z0-9]+`)

// hiddenSystemTopic creates the system topic that comes with the first extension
// subscription of a source and goes with its last.
func hiddenSystemTopic(tx resource.Tx, t *TopicType, source resource.ID, caller string, now time.Time) (resource.ID, error) {
	group, err := groupOfSource(tx, source, caller, now)
	if err != nil {
		return resource.ID{}, err
	}
	location := globalLocation
	if !t.Global {
		location = group.Location
	}
	// The name follows from the source, so that a dry run, the handshake and the
	// write that follows speak of the same id.
	name := unnamable.ReplaceAllString(source.Name(), "-")
	name = name[:min(len(name), 91)] + "-" + uuid.NewSHA1(uuid.NameSpaceURL, []byte(source.Key())).String()
	id := group.ID.Provider(TypeSystemTopic, name)
	if _, taken := tx.Get(id); taken {
		return resource.ID{}, resource.Errorf(resource.Conflict,
			"The system topic '%s' has another source than '%s', which would need that name. Delete it, or create a system topic for the source.", name, source)
	}
	res := newResource(id, TypeSystemTopic, location, caller, now)
	res.Secret(secretHidden, "true")
	return id, put(tx, res, &SystemTopic{
		ProvisioningState: Succeeded, Source: source.String(), TopicType: t.Name, MetricResourceID: uuid.NewString(),
	})
}

// groupOfSource returns the resource group for the system topic of a source.
func groupOfSource(tx resource.Tx, source resource.ID, caller string, now time.Time) (*resource.Resource, error) {
	if source.Group != "" {
		group, ok := tx.Get(source.GroupScope())
		if !ok {
			return nil, resource.Errorf(resource.ResourceGroupNotFound, "Resource group '%s' could not be found.", source.Group)
		}
		return group, nil
	}
	if _, ok := tx.Get(source); !ok {
		return nil, resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", source.Subscription)
	}
	id := resource.GroupID(source.Subscription, defaultGroup)
	if group, ok := tx.Get(id); ok {
		return group, nil
	}
	group := newResource(id, resource.TypeGroup, globalLocation, caller, now)
	tx.Put(group)
	return group, nil
}

// newResource returns a resource that the service creates along with another.
func newResource(id resource.ID, typ, location, caller string, now time.Time) *resource.Resource {
	return &resource.Resource{
		ID: id, UID: resource.NewUID(), Type: typ, Location: location,
		CreatedAt: now, CreatedBy: caller, ModifiedAt: now, ModifiedBy: caller,
	}
}

func put[P any](tx resource.Tx, r *resource.Resource, p *P) error {
	if err := resource.Encode(r, p); err != nil {
		return err
	}
	tx.Put(r)
	return nil
}

// SourceOf is the inverse of [Home]: the resource whose events a topic carries.
// For all but system topics that is the topic itself.
func SourceOf(_ resource.Tx, topic *resource.Resource) resource.ID {
	if topic.Type != TypeSystemTopic {
		return topic.ID
	}
	p, err := resource.Properties[SystemTopic](topic)
	if err != nil {
		return topic.ID
	}
	source, err := resource.ParseID(p.Source)
	if err != nil {
		return topic.ID
	}
	return source
}

// TopicTypeName returns the name under which lists by topic type show the
// subscriptions of a topic, such as Microsoft.EventGrid.Topics.
func TopicTypeName(_ resource.Tx, topic *resource.Resource) string {
	if topic.Type == TypeSystemTopic {
		p, err := resource.Properties[SystemTopic](topic)
		if err != nil {
			return ""
		}
		return p.TopicType
	}
	if f := familyOfTopic(topic.Type); f != nil {
		return f.name
	}
	return ""
}

// IsGlobal reports whether a topic belongs to no region: lists by location leave
// its subscriptions out, those of a subscription or group show them.
func IsGlobal(topic *resource.Resource) bool { return topic.Location == globalLocation }
