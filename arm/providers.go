package arm

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// builtInProviders are always registered.
var builtInProviders = []string{"Microsoft.Resources", "Microsoft.Authorization"}

func (h *Handler) listProviders(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	registered, err := h.registeredIn(rq, "Microsoft.Resources/subscriptions/providers/read")
	if err != nil {
		return err
	}
	value := []any{h.presentProvider(rq, eventgrid.Namespace, registered)}
	for _, ns := range builtInProviders {
		value = append(value, h.presentProvider(rq, ns, registered))
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

// registeredIn returns the providers registered in the subscription of the
// request; nil at tenant scope, where any principal may look.
func (h *Handler) registeredIn(rq *request, action string) (*eventgrid.Subscription, error) {
	if rq.path.ID.IsRoot() {
		return nil, nil
	}
	if err := h.authorize(rq, action, rq.path.ID); err != nil {
		return nil, err
	}
	r, err := h.findSubscription(rq.path.ID)
	if err != nil {
		return nil, err
	}
	return resource.Properties[eventgrid.Subscription](r)
}

func (h *Handler) serveProvider(rq *request) error {
	ns := rq.path.Namespace
	known := append([]string{eventgrid.Namespace}, builtInProviders...)
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, ns) })
	if i < 0 {
		return resource.Errorf(resource.InvalidNamespace, "The resource namespace '%s' is invalid.", ns)
	}
	ns = known[i]
	if rq.path.Tail == "" {
		if err := h.only(rq, http.MethodGet); err != nil {
			return err
		}
		registered, err := h.registeredIn(rq, "Microsoft.Resources/subscriptions/providers/read")
		if err != nil {
			return err
		}
		writeJSON(rq.out, http.StatusOK, h.presentProvider(rq, ns, registered))
		return nil
	}
	if err := h.only(rq, http.MethodPost); err != nil {
		return err
	}
	return h.register(rq, ns, strings.EqualFold(rq.path.Tail, "register"))
}

// register turns a provider on or off in a subscription.
func (h *Handler) register(rq *request, ns string, on bool) error {
	id := rq.path.ID
	if err := h.authorize(rq, ns+"/"+strings.ToLower(rq.path.Tail)+"/action", id); err != nil {
		return err
	}
	var after *eventgrid.Subscription
	err := h.commit(rq, func(tx resource.Tx) error {
		r, ok := tx.Get(id)
		if !ok {
			return resource.Errorf(resource.SubscriptionNotFound, "The subscription '%s' could not be found.", id.Subscription)
		}
		p, err := resource.Properties[eventgrid.Subscription](r)
		if err != nil {
			return err
		}
		after = p
		if slices.Contains(builtInProviders, ns) || slices.Contains(p.Registered, ns) == on {
			return nil
		}
		if on {
			p.Registered = append(p.Registered, ns)
		} else {
			if left := h.firstResource(tx, id); left != nil {
				return resource.Errorf(resource.Conflict, "The provider '%s' cannot be unregistered while the subscription has resources of it, such as '%s'.", ns, left.ID)
			}
			p.Registered = slices.DeleteFunc(p.Registered, func(s string) bool { return s == ns })
		}
		next := r.Clone()
		if err := resource.Encode(next, p); err != nil {
			return err
		}
		tx.Put(next)
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, h.presentProvider(rq, ns, after))
	return nil
}

func (h *Handler) firstResource(tx resource.Tx, scope resource.ID) *resource.Resource {
	for _, k := range h.kinds {
		if all := tx.List(k.Type, scope); len(all) > 0 {
			return all[0]
		}
	}
	return nil
}

func (h *Handler) presentProvider(rq *request, ns string, in *eventgrid.Subscription) map[string]any {
	types := []any{}
	policy := "RegistrationFree"
	state := "Registered"
	if ns == eventgrid.Namespace {
		types, policy = h.resourceTypes(), "RegistrationRequired"
		if in != nil && !slices.Contains(in.Registered, ns) {
			state = "NotRegistered"
		}
	}
	v := map[string]any{"namespace": ns, "registrationPolicy": policy, "resourceTypes": types, "id": "/providers/" + ns}
	if in != nil {
		v["id"] = resource.SubscriptionID(rq.path.ID.Subscription).String() + "/providers/" + ns
		v["registrationState"] = state
	}
	return v
}

// resourceTypes lists the kinds with their api-versions, newest first: generic
// clients take the first one that is not a preview.
func (h *Handler) resourceTypes() []any {
	all := maps.Clone(h.kinds)
	maps.Copy(all, h.extensions)
	var locations []string
	for _, l := range h.regionList() {
		locations = append(locations, l[1])
	}
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		k := all[name]
		versions := slices.Clone(k.Versions)
		slices.Reverse(versions)
		_, short, _ := strings.Cut(k.Type, "/")
		t := map[string]any{"resourceType": short, "apiVersions": versions, "locations": locations, "capabilities": "None"}
		if k.Tracked {
			t["capabilities"] = "SupportsTags, SupportsLocation"
		}
		if k.Location != "" {
			t["locations"] = []string{k.Location}
		}
		out = append(out, t)
	}
	return out
}
