package arm

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/resource"
)

// typeTagName is a tag name that was prepared for a subscription, with or without
// values; most tag names are only in use.
const typeTagName = "Microsoft.Resources/tagNames"

type tagName struct {
	Values []string `json:"values"`
}

type tagCount struct {
	Type  string `json:"type"`
	Value int    `json:"value"`
}

type tagValueItem struct {
	ID    string   `json:"id"`
	Value string   `json:"tagValue"`
	Count tagCount `json:"count"`
}

type tagNameItem struct {
	ID     string         `json:"id"`
	Name   string         `json:"tagName"`
	Count  tagCount       `json:"count"`
	Values []tagValueItem `json:"values"`
}

// listTagNames shows every tag name of a subscription, prepared or in use, with
// how many resources and groups use it.
func (h *Handler) listTagNames(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	if err := h.authorize(rq, resource.TypeSubscription+"/tagNames/read", rq.path.ID); err != nil {
		return err
	}
	if _, err := h.findSubscription(rq.path.ID); err != nil {
		return err
	}
	value, err := tagNamesOf(readOnly{h.Store}, rq.path.ID)
	if err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

func tagNamesOf(tx resource.Tx, subscription resource.ID) ([]tagNameItem, error) {
	names := newTagNames(subscription)
	for _, r := range tx.List(typeTagName, subscription) {
		p, err := resource.Properties[tagName](r)
		if err != nil {
			return nil, err
		}
		item := names.item(r.ID.Name())
		for _, v := range p.Values {
			item.value(v)
		}
	}
	for _, r := range tx.List("", subscription) {
		if !tracked(r) && r.Type != resource.TypeGroup && r.Type != resource.TypeSubscription {
			continue
		}
		for name, v := range r.Tags {
			item := names.item(name)
			item.Count.Value++
			item.value(v).Count.Value++
		}
	}
	return names.sorted(), nil
}

// tagNames gathers items by name, without regard to case.
type tagNames struct {
	subscription resource.ID
	items        map[string]*tagNameItem
}

func newTagNames(subscription resource.ID) *tagNames {
	return &tagNames{subscription: subscription, items: make(map[string]*tagNameItem)}
}

func (t *tagNames) item(name string) *tagNameItem {
	key := strings.ToLower(name)
	if t.items[key] == nil {
		t.items[key] = &tagNameItem{
			ID: t.subscription.String() + "/tagNames/" + name, Name: name, Count: tagCount{Type: "Total"}, Values: []tagValueItem{},
		}
	}
	return t.items[key]
}

func (t *tagNameItem) value(v string) *tagValueItem {
	i := slices.IndexFunc(t.Values, func(item tagValueItem) bool { return item.Value == v })
	if i < 0 {
		i = len(t.Values)
		t.Values = append(t.Values, tagValueItem{ID: t.ID + "/tagValues/" + v, Value: v, Count: tagCount{Type: "Total"}})
	}
	return &t.Values[i]
}

func (t *tagNames) sorted() []tagNameItem {
	out := make([]tagNameItem, 0, len(t.items))
	for _, key := range slices.Sorted(maps.Keys(t.items)) {
		item := *t.items[key]
		slices.SortFunc(item.Values, func(a, b tagValueItem) int { return cmp.Compare(a.Value, b.Value) })
		out = append(out, item)
	}
	return out
}

// serveTagName prepares and removes tag names and their values:
// tagNames/{name} and tagNames/{name}/tagValues/{value}.
func (h *Handler) serveTagName(rq *request) error {
	if err := h.only(rq, http.MethodPut, http.MethodDelete); err != nil {
		return err
	}
	name, value, action := rq.deeper[0], "", resource.TypeSubscription+"/tagNames"
	switch len(rq.deeper) {
	case 1:
	case 3:
		if !strings.EqualFold(rq.deeper[1], "tagValues") {
			return notAPath(rq)
		}
		value, action = rq.deeper[2], action+"/tagValues"
	default:
		return notAPath(rq)
	}
	if err := h.authorize(rq, action+"/"+verbs[rq.http.Method], rq.path.ID); err != nil {
		return err
	}
	if err := resource.CheckTagName(name); err != nil {
		return err
	}
	if err := resource.CheckTagValue(name, value); err != nil {
		return err
	}
	id := rq.path.ID.Provider(typeTagName, name)
	rq.concerns(id, id)
	if rq.http.Method == http.MethodDelete {
		return h.deleteTagName(rq, id, value)
	}
	return h.putTagName(rq, id, value)
}

func (h *Handler) putTagName(rq *request, id resource.ID, value string) error {
	status := http.StatusOK
	err := h.commit(rq, func(tx resource.Tx) error {
		status, rq.created = http.StatusOK, false
		r, p, err := preparedTag(tx, id)
		if err != nil {
			return err
		}
		switch {
		case value != "" && r == nil:
			return resource.Errorf(resource.NotFound, "The tag name '%s' does not exist; create it before its values.", id.Name())
		case r == nil:
			status, rq.created = http.StatusCreated, true
			r = &resource.Resource{ID: id, UID: resource.NewUID(), Type: typeTagName, CreatedAt: rq.now, CreatedBy: rq.caller.ObjectID}
		case value == "" || slices.Contains(p.Values, value):
			return nil
		default:
			status, r = http.StatusCreated, r.Clone()
		}
		if value != "" {
			p.Values = append(p.Values, value)
		}
		r.ModifiedAt, r.ModifiedBy = rq.now, rq.caller.ObjectID
		if err := resource.Encode(r, p); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
	if err != nil {
		return err
	}
	all, err := tagNamesOf(readOnly{h.Store}, rq.path.ID)
	if err != nil {
		return err
	}
	for _, item := range all {
		switch {
		case !strings.EqualFold(item.Name, id.Name()):
		case value == "":
			writeJSON(rq.out, status, item)
			return nil
		default:
			writeJSON(rq.out, status, *item.value(value))
			return nil
		}
	}
	return resource.Errorf(resource.NotFound, "The tag name '%s' was deleted meanwhile.", id.Name())
}

// deleteTagName removes a prepared name or value; one in use has to be taken from
// the resources first.
func (h *Handler) deleteTagName(rq *request, id resource.ID, value string) error {
	status := http.StatusOK
	err := h.commit(rq, func(tx resource.Tx) error {
		status = http.StatusOK
		r, p, err := preparedTag(tx, id)
		if err != nil {
			return err
		}
		if r == nil || value != "" && !slices.Contains(p.Values, value) {
			status = http.StatusNoContent
			return nil
		}
		all, err := tagNamesOf(tx, rq.path.ID)
		if err != nil {
			return err
		}
		for _, item := range all {
			if !strings.EqualFold(item.Name, id.Name()) {
				continue
			}
			if used := item.Count.Value; value == "" && used > 0 || value != "" && item.value(value).Count.Value > 0 {
				return resource.Errorf(resource.Conflict, "The tag '%s' is in use by %d resources; take it from them first.", id.Name(), used)
			}
		}
		if value == "" {
			tx.Delete(id)
			return nil
		}
		next := r.Clone()
		p.Values = slices.DeleteFunc(p.Values, func(v string) bool { return v == value })
		next.ModifiedAt, next.ModifiedBy = rq.now, rq.caller.ObjectID
		if err := resource.Encode(next, p); err != nil {
			return err
		}
		tx.Put(next)
		return nil
	})
	if err == nil {
		rq.out.WriteHeader(status)
	}
	return err
}

// preparedTag returns a prepared tag name, nil when there is none.
func preparedTag(tx resource.Tx, id resource.ID) (*resource.Resource, *tagName, error) {
	if _, ok := tx.Get(resource.SubscriptionID(id.Subscription)); !ok {
		return nil, nil, subscriptionNotFound(id)
	}
	r, ok := tx.Get(id)
	if !ok {
		return nil, &tagName{}, nil
	}
	p, err := resource.Properties[tagName](r)
	return r, p, err
}
