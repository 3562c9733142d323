package eventgrid

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/intertie/intertie/resource"
)

// Channel is the partner's end of one stream of events to one customer; the
// customer's end is the partner topic that the channel creates.
type Channel struct {
	Type              ChannelType       `json:"channelType" arm:"create"`
	PartnerTopic      *PartnerTopicInfo `json:"partnerTopicInfo,omitempty"`
	ReadinessState    string            `json:"readinessState" arm:"computed"`
	ProvisioningState string            `json:"provisioningState" arm:"computed"`
	// Message and Expires vanish once the partner topic is activated; from then on
	// what a client sends of them is ignored, so that it can repeat its PUT.
	Message *string        `json:"messageForActivation,omitempty"`
	Expires *resource.Time `json:"expirationTimeIfNotActivatedUtc,omitempty" arm:"patch"`
}

// ChannelType is what a channel leads to.
type ChannelType string

// ChannelToPartnerTopic leads to a partner topic.
const ChannelToPartnerTopic ChannelType = "PartnerTopic"

// UnmarshalJSON implements [json.Unmarshaler].
func (t *ChannelType) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, t, ChannelToPartnerTopic)
}

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

// States of activation, on channel and partner topic.
const (
	NeverActivated = "NeverActivated"
	Activated      = "Activated"
	Deactivated    = "Deactivated"
)

const (
	// maxTimeToActivate bounds, and is the default of, the time a customer has
	// to activate a partner topic.
	maxTimeToActivate = 7 * day
	maxMessage        = 256
)

func channelKind() *resource.Kind {
	return resource.Define(resource.Spec{
		Type: TypeChannel, Names: namePattern, NameRule: nameRule, Versions: channelVersions,
		// Deleting the partner topic takes the channel along, and needs no grant.
		After: []string{TypePartnerTopic},
	}, resource.Hooks[Channel]{
		Prepare: prepareChannel,
		Delete:  deleteChannel,
	})
}

func prepareChannel(w *resource.Write, r *resource.Resource, next, old *Channel) error {
	next.ProvisioningState = Succeeded
	namespace, ns, partner, err := partnerOf(w.Tx, w.ID)
	if err != nil {
		return err
	}
	if old == nil {
		return createChannel(w, r, next, namespace, ns, partner)
	}
	return updateChannel(w, next, old, partner)
}

func createChannel(w *resource.Write, r *resource.Resource, next *Channel, namespace *resource.Resource, ns *PartnerNamespace, partner *PartnerRegistration) error {
	info := next.PartnerTopic
	if next.Type == "" {
		next.Type = ChannelToPartnerTopic
	}
	if err := checkPartnerTopicInfo(info); err != nil {
		return err
	}
	if err := requireRouting(ns, namespace, ChannelNameHeader, "channels"); err != nil {
		return err
	}
	if err := checkActivation(next, nil, w.Now); err != nil {
		return err
	}
	if err := requireTarget(w, info.ID(), partner); err != nil {
		return err
	}
	next.ReadinessState = NeverActivated
	if next.Message == nil {
		text := defaultMessage(info.Name, info.Source, w.Now)
		next.Message = &text
	}
	if next.Expires == nil {
		at := resource.Time(w.Now.Add(maxTimeToActivate))
		next.Expires = &at
	}
	return createPartnerTopic(w, r, info.ID(), namespace.Location, &PartnerTopic{
		ImmutableID: partner.ImmutableID, Source: info.Source, EventTypes: info.EventTypes,
		Expires: next.Expires, FriendlyDescription: next.Message, Message: next.Message,
	})
}

func checkPartnerTopicInfo(info *PartnerTopicInfo) error {
	if info == nil {
		return resource.Invalid("Invalid Channel request: the property 'partnerTopicInfo' is required for a channel of type PartnerTopic.")
	}
	if _, err := uuid.Parse(info.Subscription); err != nil {
		return resource.Invalid("Invalid Channel request: partnerTopicInfo.azureSubscriptionId '%s' is not a GUID.", info.Subscription)
	}
	if info.Group == "" || strings.Contains(info.Group, "/") {
		return resource.Invalid("Invalid Channel request: partnerTopicInfo.resourceGroupName is required; '%s' is not the name of a resource group.", info.Group)
	}
	if !namePattern.MatchString(info.Name) {
		return resource.Invalid("Invalid Channel request: partnerTopicInfo.name '%s' must consist of %s.", info.Name, nameRule)
	}
	return checkEventTypes(info.EventTypes)
}

// checkActivation validates message and expiry. Stored ones pass: the service's
// own message may exceed the limit, and clients PUT back what they read.
func checkActivation(next, old *Channel, now time.Time) error {
	if old == nil && next.Message != nil && utf8.RuneCountInString(*next.Message) > maxMessage {
		return resource.Invalid("Invalid Channel request: MessageForActivation has %d characters; at most %d are allowed.", utf8.RuneCountInString(*next.Message), maxMessage)
	}
	if next.Expires == nil || (old != nil && old.Expires != nil && old.Expires.Same(*next.Expires)) {
		return nil
	}
	at := next.Expires.Std()
	if !at.After(now) || at.After(now.Add(maxTimeToActivate+time.Minute)) {
		return resource.Invalid("Invalid Channel request: expirationTimeIfNotActivatedUtc '%s' must lie in the future and at most 7 days from now.", at.Format(time.RFC3339))
	}
	return nil
}

// updateChannel changes what may be changed, and mirrors it to the partner
// topic in the same transaction.
func updateChannel(w *resource.Write, next, old *Channel, partner *PartnerRegistration) error {
	if err := checkEventTypes(next.PartnerTopic.EventTypes); err != nil {
		return err
	}
	switch {
	case old.ReadinessState != NeverActivated:
		next.Message, next.Expires = nil, nil
	case next.Message != nil && old.Message != nil && *next.Message != *old.Message:
		return resource.Invalid("Invalid Channel request: messageForActivation cannot be changed after creation.")
	default:
		next.Message = old.Message
		if next.Expires == nil {
			next.Expires = old.Expires
		}
	}
	if err := checkActivation(next, old, w.Now); err != nil {
		return err
	}
	id := next.PartnerTopic.ID()
	if err := requireGrant(w.Tx, partner, id.GroupScope(), w.Now); err != nil {
		return err
	}
	mirror, ok := w.Tx.Get(id)
	if !ok {
		return resource.Errorf(resource.Conflict, "The partner topic '%s' of this channel does not exist any more.", id.Name())
	}
	return change(w.Tx, mirror, w.Caller, w.Now, func(topic *PartnerTopic) {
		topic.EventTypes, topic.Expires = next.PartnerTopic.EventTypes, next.Expires
	})
}

// deleteChannel takes the partner topic along. That is a change on the
// customer's side, so it needs the customer's grant as creation did; a customer
// who withdrew it deletes the partner topic, which removes the channel.
func deleteChannel(d *resource.Deletion, r *resource.Resource, p *Channel) error {
	if p.PartnerTopic == nil {
		return nil
	}
	return deleteMirror(d, r, p.PartnerTopic.ID())
}
