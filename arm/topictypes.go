package arm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	typeTopicType = eventgrid.Namespace + "/topicTypes"
	typeEventType = eventgrid.Namespace + "/eventTypes"
)

// The catalogue of topic types is the same for everyone: a valid token is all
// that it takes to read it.

func (h *Handler) listTopicTypes(rq *request) error {
	if err := h.checkCatalogue(rq); err != nil {
		return err
	}
	value := []any{}
	for _, t := range eventgrid.TopicTypes() {
		value = append(value, h.presentTopicType(&t))
	}
	writeJSON(rq.out, http.StatusOK, page{Value: value})
	return nil
}

func (h *Handler) getTopicType(rq *request) error {
	t, err := h.topicType(rq)
	if err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, h.presentTopicType(t))
	return nil
}

func (h *Handler) listEventTypesOfTopicType(rq *request) error {
	t, err := h.topicType(rq)
	if err != nil {
		return err
	}
	value := []any{}
	for _, e := range t.Events {
		value = append(value, presentEventType(topicTypeID(t)+"/eventTypes/"+e.Name, typeTopicType+"/eventTypes", &e))
	}
	writeJSON(rq.out, http.StatusOK, page{Value: value})
	return nil
}

func (h *Handler) checkCatalogue(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	_, err := h.kindOf(eventgrid.TypeEventSubscription, rq.version) // as old as the provider
	return err
}

func (h *Handler) topicType(rq *request) (*eventgrid.TopicType, error) {
	if err := h.checkCatalogue(rq); err != nil {
		return nil, err
	}
	name := rq.path.ID.Name()
	all := eventgrid.TopicTypes()
	i := slices.IndexFunc(all, func(t eventgrid.TopicType) bool { return strings.EqualFold(t.Name, name) })
	if i < 0 {
		return nil, resource.Errorf(resource.NotFound, "The topic type '%s' does not exist.", name)
	}
	return &all[i], nil
}

// topicTypeID has no leading slash, unlike every other id.
func topicTypeID(t *eventgrid.TopicType) string {
	return "providers/" + typeTopicType + "/" + t.Name
}

func (h *Handler) presentTopicType(t *eventgrid.TopicType) any {
	region, locations := "RegionalResource", []string{}
	if t.Global {
		region = "GlobalResource"
	} else {
		for _, l := range h.regionList() {
			locations = append(locations, l[1])
		}
	}
	return map[string]any{
		"id": topicTypeID(t), "name": t.Name, "type": typeTopicType,
		"properties": map[string]any{
			"provider": t.Provider(), "displayName": t.DisplayName, "description": t.Description, "resourceRegionType": region,
			"provisioningState": eventgrid.Succeeded, "supportedLocations": locations, "sourceResourceFormat": t.SourceFormat(),
			"supportedScopesForSource": t.Scopes, "areRegionalAndGlobalSourcesSupported": false,
		},
	}
}

func presentEventType(id, typ string, e *eventgrid.EventType) any {
	return map[string]any{
		"id": id, "name": e.Name, "type": typ,
		"properties": map[string]any{
			"displayName": e.DisplayName, "description": e.Description, "schemaUrl": nil, "isInDefaultSet": e.InDefaultSet,
		},
	}
}

// listEventTypes shows what event types one resource raises: those that its
// topic type has, or that a custom topic or domain declares.
func (h *Handler) listEventTypes(rq *request) error {
	if err := h.checkCatalogue(rq); err != nil {
		return err
	}
	scope := rq.path.ID
	if scope.Subscription == "" {
		return resource.Errorf(resource.InvalidResourceType, "Resources of type '%s' cannot be listed at '%s'.", typeEventType, scope)
	}
	if err := h.authorize(rq, typeEventType+"/read", scope); err != nil {
		return err
	}
	tx := readOnly{h.Store}
	if err := h.findScope(tx, scope); err != nil {
		return err
	}
	value := []any{}
	for _, e := range eventTypesOf(tx, scope) {
		value = append(value, presentEventType(scope.Provider(typeEventType, e.Name).String(), typeEventType, &e))
	}
	writeJSON(rq.out, http.StatusOK, page{Value: value})
	return nil
}

func eventTypesOf(tx resource.Tx, scope resource.ID) []eventgrid.EventType {
	if r, ok := tx.Get(scope); ok {
		p, err := resource.Properties[struct {
			Declared *eventgrid.EventTypeInfo `json:"eventTypeInfo"`
		}](r)
		if err == nil && p.Declared != nil {
			return declared(p.Declared)
		}
	}
	for _, t := range eventgrid.TopicTypes() {
		if strings.EqualFold(t.Source, scope.Type()) {
			return t.Events // of several the first is the one that subscriptions get
		}
	}
	return nil
}

func declared(info *eventgrid.EventTypeInfo) []eventgrid.EventType {
	var all []eventgrid.EventType
	for name, t := range info.Inline {
		all = append(all, eventgrid.EventType{Name: name, DisplayName: t.DisplayName, Description: t.Description, InDefaultSet: true})
	}
	slices.SortFunc(all, func(a, b eventgrid.EventType) int { return strings.Compare(a.Name, b.Name) })
	return all
}
