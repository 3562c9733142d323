package arm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// This file serves the lists of event subscriptions that go by where their
// events come from, not by where they are stored. Everything in them appears in
// the extension form.

// subscriptionList returns what serves a list by the types in its path.
func (h *Handler) subscriptionList(typ string) (func(*request) error, bool) {
	switch typ, _ := strings.CutPrefix(strings.ToLower(typ), strings.ToLower(eventgrid.Namespace)+"/"); typ {
	case "eventsubscriptions":
		return h.listAtScope, true
	case "topictypes/eventsubscriptions":
		return func(rq *request) error {
			return h.listAcross(rq, origin{topicType: rq.path.ID.Names[0], action: "topicTypes/eventSubscriptions/read"})
		}, true
	case "locations/eventsubscriptions":
		return func(rq *request) error {
			return h.listAcross(rq, origin{location: rq.path.ID.Names[0], action: "locations/eventSubscriptions/read"})
		}, true
	case "locations/topictypes/eventsubscriptions":
		return func(rq *request) error {
			names := rq.path.ID.Names
			return h.listAcross(rq, origin{location: names[0], topicType: names[1], action: "locations/topicTypes/eventSubscriptions/read"})
		}, true
	}
	return nil, false
}

// origin says whose events a list is about.
type origin struct {
	location  string // empty: what belongs to no region
	topicType string // empty: any
	action    string // that the caller needs, without the provider
}

// has reports whether a topic is one of the origin.
func (o origin) has(tx resource.Tx, topic *resource.Resource) bool {
	if eventgrid.IsGlobal(topic) != (o.location == "") {
		return false
	}
	if o.location != "" && regionOf(tx, topic) != resource.NormalLocation(o.location) {
		return false
	}
	return o.topicType == "" || strings.EqualFold(eventgrid.TopicTypeName(tx, topic), o.topicType)
}

// regionOf returns the location of a topic; one that has none of its own, in a
// domain, is where the domain is.
func regionOf(tx resource.Tx, topic *resource.Resource) string {
	if topic.Location == "" && len(topic.ID.Types) > 1 {
		if around, ok := tx.Get(topic.ID.Parent()); ok {
			return around.Location
		}
	}
	return topic.Location
}

// listAtScope serves the list without a topic type or a location: of a
// subscription or group it shows what belongs to no region, of anything else the
// subscriptions on it.
func (h *Handler) listAtScope(rq *request) error {
	scope := rq.path.ID
	if scope.Namespace == "" {
		return h.listAcross(rq, origin{action: "eventSubscriptions/read"})
	}
	if err := h.checkList(rq, scope, "eventSubscriptions/read"); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.find(tx, scope); err != nil {
		return err
	}
	if strings.EqualFold(scope.Namespace, eventgrid.Namespace) && !isListed(tx, scope) {
		return notFound(scope)
	}
	var found []*resource.Resource
	if home, ok := eventgrid.Home(tx, scope); ok {
		if _, kind, ok := h.inHome(home, ""); ok {
			found = h.Store.List(kind.Type, home)
		}
	}
	return h.pageOfExtensions(rq, found, scope)
}

// listAcross serves the lists over a subscription or group.
func (h *Handler) listAcross(rq *request, from origin) error {
	scope := rq.path.ID.Scope()
	if err := h.checkList(rq, scope, from.action); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.find(tx, scope); err != nil {
		return err
	}
	var found []*resource.Resource
	wanted := make(map[string]bool) // by the key of the topic
	for _, typ := range eventgrid.SubscriptionTypes() {
		at := scope
		switch {
		case strings.EqualFold(typ, eventgrid.TypeSystemTopicEventSubscription):
			// A system topic may lie in another group than its source, which is
			// what the list goes by.
			at = resource.SubscriptionID(scope.Subscription)
		case from.location == "":
			continue // every other topic is somewhere
		}
		for _, r := range h.Store.List(typ, at) {
			parent := r.ID.Parent()
			key := parent.Key()
			want, known := wanted[key]
			if !known {
				topic, ok := tx.Get(parent)
				want = ok && from.has(tx, topic) && within(eventgrid.SourceOf(tx, topic), scope)
				wanted[key] = want
			}
			if want {
				found = append(found, r)
			}
		}
	}
	slices.SortFunc(found, byID)
	return h.pageOfExtensions(rq, found, scope)
}

// checkList makes sure that the list exists at the scope, for this api-version
// and this caller.
func (h *Handler) checkList(rq *request, scope resource.ID, action string) error {
	kind, err := h.kindOf(eventgrid.TypeEventSubscription, rq.version)
	if err != nil {
		return err
	}
	across := rq.path.ID.Namespace == "" || !rq.path.Beyond
	if !kind.Place.Holds(scope) || across && scope.Namespace != "" {
		return resource.Errorf(resource.InvalidResourceType, "Resources of type '%s' cannot be listed at '%s'.", kind.Type, rq.path.ID)
	}
	return h.authorize(rq, eventgrid.Namespace+"/"+action, scope)
}

func (h *Handler) pageOfExtensions(rq *request, found []*resource.Resource, asked resource.ID) error {
	tx := readOnly{h.Store}
	return h.page(rq, found, func(r *resource.Resource) (any, error) {
		return h.present(rq, h.kinds[strings.ToLower(r.Type)], r, extensionID(tx, r, asked))
	})
}

// getExtensionTopic shows which system topic carries the events of a resource.
func (h *Handler) getExtensionTopic(rq *request, a address) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	if err := h.authorize(rq, a.action("read"), a.id); err != nil {
		return err
	}
	tx, scope := readOnly{h.Store}, a.id.Scope()
	if err := h.findScope(tx, scope); err != nil {
		return err
	}
	home, ok := eventgrid.Home(tx, scope)
	if !ok || home.Equal(scope) || !strings.EqualFold(a.id.Name(), extensionTopicName) {
		return notFound(a.id)
	}
	topic, ok := tx.Get(home)
	if !ok {
		return notFound(a.id)
	}
	source := eventgrid.SourceOf(tx, topic)
	writeJSON(rq.out, http.StatusOK, map[string]any{
		"id": source.Provider(typeExtensionTopic, extensionTopicName).String(), "name": extensionTopicName, "type": typeExtensionTopic, "systemData": nil,
		"properties": map[string]string{"description": "Carries the events of " + source.Name() + ".", "systemTopic": home.String()},
	})
	return nil
}

// extensionTopicName is the only one there is.
const extensionTopicName = "default"
