package arm

import (
	"maps"
	"net/http"
	"strings"

	"github.com/intertie/intertie/resource"
)

// typeTags is the type by which the tags of a scope are read and written on their
// own. It is no resource: the tags are those of what has them.
const typeTags = "Microsoft.Resources/tags"

func tagsOf(r *resource.Resource) map[string]string {
	if r.Tags == nil {
		return map[string]string{}
	}
	return r.Tags
}

// tagOperation says what a PATCH does with the tags it holds.
type tagOperation string

const (
	mergeTags   tagOperation = "Merge"
	replaceTags tagOperation = "Replace"
	deleteTags  tagOperation = "Delete"
)

// UnmarshalJSON implements [json.Unmarshaler].
func (o *tagOperation) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, o, mergeTags, replaceTags, deleteTags)
}

type tagsBody struct {
	Operation  tagOperation `json:"operation"`
	Properties *struct {
		Tags map[string]string `json:"tags"`
	} `json:"properties"`
}

// serveTags serves the tags of a subscription, a group or a tracked resource.
func (h *Handler) serveTags(rq *request) error {
	verb, ok := verbs[rq.http.Method]
	if !ok || rq.http.Method == http.MethodHead {
		return h.methodNotAllowed(rq, "GET, PUT, PATCH, DELETE")
	}
	scope := rq.path.ID.Scope()
	if err := h.authorize(rq, typeTags+"/"+verb, scope); err != nil {
		return err
	}
	switch {
	case scope.IsRoot() || scope.Subscription == "":
		return resource.Errorf(resource.InvalidResourceType, "There are no tags at '%s'.", scope)
	case !strings.EqualFold(rq.path.ID.Name(), "default"):
		return resource.Invalid("The name '%s' is invalid: the tags of a scope are named 'default'.", rq.path.ID.Name())
	}
	if rq.http.Method == http.MethodGet {
		r, err := h.taggable(readOnly{h.Store}, scope)
		if err != nil {
			return err
		}
		writeTags(rq, r)
		return nil
	}
	change, err := readTagChange(rq)
	if err != nil {
		return err
	}
	var written *resource.Resource
	err = h.commit(rq, func(tx resource.Tx) error {
		old, err := h.taggable(tx, scope)
		if err != nil {
			return err
		}
		rq.concerns(tagsID(old), old.ID)
		written = old.Clone()
		written.Tags = change(old.Tags)
		if err := resource.CheckTags(written.Tags); err != nil {
			return err
		}
		written.ModifiedAt, written.ModifiedBy = rq.now, rq.caller.ObjectID
		tx.Put(written)
		return nil
	})
	if err != nil {
		return err
	}
	if rq.http.Method == http.MethodDelete {
		rq.out.WriteHeader(http.StatusOK)
		return nil
	}
	writeTags(rq, written)
	return nil
}

func tagsID(r *resource.Resource) resource.ID { return r.ID.Provider(typeTags, "default") }

// taggable returns what has the tags of a scope.
func (h *Handler) taggable(tx resource.Tx, scope resource.ID) (*resource.Resource, error) {
	if _, ok := tx.Get(resource.SubscriptionID(scope.Subscription)); !ok {
		return nil, subscriptionNotFound(scope)
	}
	if err := findGroup(tx, scope); err != nil {
		return nil, err
	}
	r, ok := tx.Get(scope)
	if !ok {
		return nil, notFound(scope)
	}
	if scope.Namespace != "" && !tracked(r) {
		return nil, resource.Invalid("A resource of type '%s' has no tags.", r.Type)
	}
	return r, nil
}

func writeTags(rq *request, r *resource.Resource) {
	writeJSON(rq.out, http.StatusOK, map[string]any{
		"id": tagsID(r).String(), "name": "default", "type": typeTags, "properties": map[string]any{"tags": tagsOf(r)},
	})
}

// readTagChange reads from the request what becomes of the tags.
func readTagChange(rq *request) (func(map[string]string) map[string]string, error) {
	if rq.http.Method == http.MethodDelete {
		return func(map[string]string) map[string]string { return nil }, nil
	}
	raw, err := rq.bodyOf(smallBody)
	if err != nil {
		return nil, err
	}
	var body tagsBody
	if err := resource.DecodeMember("body", raw, &body); err != nil {
		return nil, err
	}
	if body.Properties == nil {
		return nil, resource.Invalid("The property 'properties' is required: it holds the tags.")
	}
	sent := body.Properties.Tags
	if rq.http.Method == http.MethodPut {
		return func(map[string]string) map[string]string { return sent }, nil
	}
	switch body.Operation {
	case mergeTags:
		return func(old map[string]string) map[string]string { return changedTags(old, sent, true) }, nil
	case replaceTags:
		return func(map[string]string) map[string]string { return sent }, nil
	case deleteTags:
		return func(old map[string]string) map[string]string { return changedTags(old, sent, false) }, nil
	default:
		return nil, resource.Invalid("The property 'operation' is required: '%s', '%s' or '%s'.", mergeTags, replaceTags, deleteTags)
	}
}

// changedTags returns old with the sent tags added, or taken away: by name alone
// when a sent value is empty. Names are the same in any case, and keep that which
// they have.
func changedTags(old, sent map[string]string, add bool) map[string]string {
	next := maps.Clone(old)
	if next == nil {
		next = make(map[string]string, len(sent))
	}
	spelling := make(map[string]string, len(next))
	for name := range next {
		spelling[strings.ToLower(name)] = name
	}
	for name, value := range sent {
		if known, ok := spelling[strings.ToLower(name)]; ok {
			name = known
		}
		switch {
		case add:
			next[name] = value
		case value == "" || next[name] == value:
			delete(next, name)
		}
	}
	return next
}
