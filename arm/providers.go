package arm

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// ownTypes are those of ARM's own providers, with versions as in foreignTypes.
var ownTypes = []struct {
	namespace string
	versions  []string
	types     []string
}{
	{"Microsoft.Resources", []string{"2022-09-01", "2021-04-01", "2020-06-01"}, []string{
		"deployments", "deployments/operations", "providers", "resourceGroups", "resources", "subscriptions", "subscriptions/locations",
		"subscriptions/providers", "subscriptions/resourceGroups", "subscriptions/resources", "subscriptions/tagNames", "subscriptions/tagNames/tagValues", "tags", "tenants",
	}},
	{"Microsoft.Authorization", []string{"2020-05-01", "2016-09-01"}, []string{"locks"}},
	{"Microsoft.Authorization", []string{"2022-04-01", "2018-07-01"}, []string{"permissions", "providerOperations", "roleAssignments", "roleDefinitions"}},
	{"Microsoft.Subscription", []string{"2021-10-01"}, []string{"aliases", "rename"}},
}

// freeProviders are always registered: those of ARM itself, and those of which
// this server keeps no more than records.
func freeProviders() []string {
	var out []string
	for _, t := range ownTypes {
		if !slices.Contains(out, t.namespace) {
			out = append(out, t.namespace)
		}
	}
	return append(out, foreignNamespaces()...)
}

func (h *Handler) listProviders(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	registered, err := h.registeredIn(rq, "Microsoft.Resources/subscriptions/providers/read")
	if err != nil {
		return err
	}
	value := []any{h.presentProvider(rq, eventgrid.Namespace, registered)}
	for _, ns := range freeProviders() {
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
	known := append([]string{eventgrid.Namespace}, freeProviders()...)
	i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, ns) })
	if i < 0 {
		return resource.Errorf(resource.InvalidNamespace, "The resource namespace '%s' is invalid.", ns)
	}
	ns = known[i]
	if anyFold(rq.path.Tail, "", "resourceTypes", "providerPermissions") {
		if err := h.only(rq, http.MethodGet); err != nil {
			return err
		}
		registered, err := h.registeredIn(rq, "Microsoft.Resources/subscriptions/providers/read")
		if err != nil {
			return err
		}
		document := h.presentProvider(rq, ns, registered)
		switch strings.ToLower(rq.path.Tail) {
		case "resourcetypes":
			writeJSON(rq.out, http.StatusOK, map[string]any{"value": document["resourceTypes"]})
		case "providerpermissions":
			writeJSON(rq.out, http.StatusOK, map[string]any{"value": []any{}})
		default:
			writeJSON(rq.out, http.StatusOK, document)
		}
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
		if ns != eventgrid.Namespace || slices.Contains(p.Registered, ns) == on {
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
	types := h.foreignResourceTypes(ns)
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

// foreignResourceTypes is resourceTypes for the providers that are always there.
func (h *Handler) foreignResourceTypes(ns string) []any {
	out := []any{}
	for _, of := range append(slices.Clone(ownTypes), foreignTypes...) {
		if of.namespace != ns {
			continue
		}
		for _, name := range of.types {
			out = append(out, map[string]any{
				"resourceType": name, "apiVersions": of.versions, "defaultApiVersion": stableVersion(of.versions), "locations": h.regionNames(), "capabilities": "SupportsTags, SupportsLocation",
			})
		}
	}
	return out
}

// stableVersion returns the first of versions, newest first, that is no preview.
func stableVersion(versions []string) string {
	for _, v := range versions {
		if !strings.HasSuffix(v, "-preview") {
			return v
		}
	}
	return versions[0]
}

// regionNames are the locations as provider documents list them.
func (h *Handler) regionNames() []string {
	var names []string
	for _, l := range h.regionList() {
		names = append(names, l[1])
	}
	return names
}

// listTypes are those of Event Grid that can only be listed or polled, or are
// stored nowhere.
var listTypes = []string{
	"eventTypes", "locations", "locations/eventSubscriptions", "locations/operationResults", "locations/operationsStatus", "locations/topicTypes",
	"locations/topicTypes/eventSubscriptions", "locations/usages", "operations", "topicTypes", "topicTypes/eventSubscriptions", "topicTypes/eventTypes",
}

// resourceTypes lists the kinds and derived types with their api-versions, newest first: generic
// clients take the first one that is not a preview.
func (h *Handler) resourceTypes() []any {
	all := maps.Clone(h.kinds)
	maps.Copy(all, h.extensions)
	for _, name := range listTypes {
		k := &resource.Kind{Spec: resource.Spec{Type: eventgrid.Namespace + "/" + name, Versions: eventgrid.SubscriptionVersions()}}
		all[strings.ToLower(k.Type)] = k
	}
	for key, d := range h.derived {
		k := &resource.Kind{Spec: resource.Spec{Type: d.Type, Versions: d.Versions}}
		if d.Parent == "" {
			k.Place = resource.InTenant
		}
		all[key] = k
	}
	locations := h.regionNames()
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		k := all[name]
		versions := slices.Clone(k.Versions)
		slices.Reverse(versions)
		_, short, _ := strings.Cut(k.Type, "/")
		t := map[string]any{"resourceType": short, "apiVersions": versions, "defaultApiVersion": stableVersion(versions), "locations": locations, "capabilities": "None"}
		if k.Tracked {
			t["capabilities"] = "SupportsTags, SupportsLocation"
		}
		switch {
		case k.Location != "":
			t["locations"] = []string{k.Location}
		case k.Place == resource.InTenant:
			t["locations"] = []string{}
		}
		out = append(out, t)
	}
	return out
}
