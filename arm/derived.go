package arm

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// derivedPath is a path to what is stored nowhere: see [eventgrid.Derived].
type derivedPath struct {
	of     *eventgrid.Derived
	parent resource.ID
	name   string // of one item; empty for all
	action string // on the item; empty for reads
}

// derivedAt reads the path of a request; false when it is one to anything else.
func (h *Handler) derivedAt(p resource.Path) (derivedPath, bool) {
	if !p.Beyond {
		if d, ok := h.derived[strings.ToLower(p.ID.Type())]; ok {
			return derivedPath{of: d, parent: p.ID.Parent(), name: p.ID.Name(), action: p.Tail}, true
		}
	}
	typ := p.Namespace + "/" + p.Tail
	if !p.Beyond {
		typ = p.ID.Type() + "/" + p.Tail
	}
	d, ok := h.derived[strings.ToLower(typ)]
	return derivedPath{of: d, parent: p.ID}, ok
}

func (h *Handler) isDerived(rq *request) bool {
	_, ok := h.derivedAt(rq.path)
	return ok
}

// serveDerived serves the reads of all derived types, and the actions, which find
// no item that they could be on.
func (h *Handler) serveDerived(rq *request) error {
	p, _ := h.derivedAt(rq.path)
	method, verb := http.MethodGet, "read"
	if p.action != "" {
		method, verb = http.MethodPost, p.action+"/action"
		if !anyFold(p.action, p.of.Actions...) {
			return resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' has no action '%s'.", p.of.Type, p.action)
		}
	}
	if err := h.only(rq, method); err != nil {
		return err
	}
	if err := checkKnown(p.of.Type, p.of.Versions, rq.version); err != nil {
		return err
	}
	parent, err := h.derivedParent(rq, p, verb)
	if err != nil {
		return err
	}
	items, err := p.of.Items(h.Store, parent)
	if err != nil {
		return err
	}
	if p.name == "" {
		return h.pageOfItems(rq, items)
	}
	item, ok := eventgrid.ItemOf(items, p.name)
	if !ok {
		return notFound(rq.path.ID)
	}
	writeJSON(rq.out, http.StatusOK, item)
	return nil
}

// derivedParent returns the resource that the items hang on, for callers who may
// do verb there; nil at the root, where any may.
func (h *Handler) derivedParent(rq *request, p derivedPath, verb string) (*resource.Resource, error) {
	if p.of.Parent == "" {
		if !p.parent.IsRoot() {
			return nil, resource.Errorf(resource.InvalidResourceType, "A resource of type '%s' lives in no subscription; the path '%s' names one.", p.of.Type, rq.http.URL.Path)
		}
		return nil, nil
	}
	a, err := h.addressOf(p.parent, rq.version)
	if err != nil {
		return nil, err
	}
	if err := h.authorize(rq, p.of.Type+"/"+verb, a.id); err != nil {
		return nil, err
	}
	parent, _, err := h.look(readOnly{h.Store}, a)
	return parent, err
}

// pageOfItems is page for derived resources.
func (h *Handler) pageOfItems(rq *request, items []eventgrid.Item) error {
	matches, err := parseNameFilter(queryParam(rq.http, "$filter"))
	if err != nil {
		return err
	}
	key := func(i eventgrid.Item) string { return strings.ToLower(i.Name) }
	slices.SortFunc(items, func(a, b eventgrid.Item) int { return cmp.Compare(key(a), key(b)) })
	return writePage(rq, items, paging{defaultTop: defaultTop, maxTop: maxTop},
		func(i eventgrid.Item) bool { return matches(i.Name) }, key, func(i eventgrid.Item) (any, error) { return i, nil })
}
