package arm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// route is an operation of ARM itself, beside the kinds.
type route struct {
	match func(*request) bool
	serve func(*request) error
}

func (h *Handler) fixedRoutes() []route {
	subscription := func(rq *request) bool {
		id := rq.path.ID
		return id.Subscription != "" && id.Group == "" && id.Namespace == ""
	}
	root := func(rq *request) bool { return rq.path.ID.IsRoot() }
	tail := func(at func(*request) bool, names ...string) func(*request) bool {
		return func(rq *request) bool { return at(rq) && rq.path.Namespace == "" && anyFold(rq.path.Tail, names...) }
	}
	typed := func(types ...string) func(*request) bool {
		return func(rq *request) bool {
			return rq.path.Tail == "" && !rq.path.Beyond && anyFold(rq.path.ID.Type(), types...)
		}
	}
	collection := func(types ...string) func(*request) bool {
		return func(rq *request) bool { return rq.path.Beyond && anyFold(rq.path.Namespace+"/"+rq.path.Tail, types...) }
	}
	group := func(rq *request) bool {
		id := rq.path.ID
		return id.Group != "" && id.Namespace == ""
	}
	atTenant := func(rq *request) bool { return rq.path.ID.Subscription == "" && !rq.path.Beyond }
	provider := func(rq *request) bool {
		return (subscription(rq) || root(rq)) && rq.path.Namespace != "" && anyFold(rq.path.Tail, "", "register", "unregister", "resourceTypes", "providerPermissions")
	}
	return []route{
		{tail(root, "subscriptions"), h.listSubscriptions},
		{tail(root, "tenants"), h.listTenants},
		{tail(subscription, ""), h.getSubscription},
		{tail(subscription, "locations"), h.listLocations},
		{tail(subscription, "resourceGroups"), h.listGroups},
		{tail(subscription, "resources"), h.listResources},
		{tail(subscription, "tagNames"), h.listTagNames},
		{tail(group, "resources"), h.listResources},
		{tail(group, "moveResources", "validateMoveResources"), h.refuseMove},
		{func(rq *request) bool {
			return subscription(rq) && rq.path.Beyond && anyFold(rq.path.Namespace+"/"+rq.path.Tail, typeRename)
		}, h.renameSubscription},
		{typed(typeTags), h.serveTags},
		{collection(resource.TypeLock), h.listLocks},
		{typed(resource.TypeGroup), h.serveGroup},
		{isDeployment, h.serveDeployment},
		{tail(func(rq *request) bool { return subscription(rq) || root(rq) }, "providers"), h.listProviders},
		{provider, h.serveProvider},
		{typed(typeAlias), h.serveAlias},
		{typed(TypeRoleDefinition), h.serveRoleDefinition},
		{collection(TypeRoleDefinition), h.listRoleDefinitions},
		{collection(typePermissions), h.listPermissions},
		{func(rq *request) bool { return root(rq) && collection(typeProviderOperations)(rq) }, h.listProviderOperations},
		{func(rq *request) bool { return atTenant(rq) && typed(typeProviderOperations)(rq) }, h.getProviderOperations},
		{typed(resource.TypeRoleAssignment), h.serveRoleAssignment},
		{collection(resource.TypeRoleAssignment), h.listRoleAssignments},
		{func(rq *request) bool { return root(rq) && collection(typeTopicType)(rq) }, h.listTopicTypes},
		{func(rq *request) bool { return atTenant(rq) && typed(typeTopicType)(rq) }, h.getTopicType},
		{func(rq *request) bool {
			return atTenant(rq) && anyFold(rq.path.ID.Type(), typeTopicType) && anyFold(rq.path.Tail, "eventTypes")
		}, h.listEventTypesOfTopicType},
		{collection(typeEventType), h.listEventTypes},
		{func(rq *request) bool {
			return !rq.path.Beyond && rq.path.ID.Group == "" && anyFold(rq.path.ID.Type(), typeLocation) && anyFold(rq.path.Tail, "usages")
		}, h.listUsages},
		{isOperations, h.listOperations},
		{areAllRegistrations, h.listAllRegistrations},
		{h.isDerived, h.serveDerived},
		{typed(eventgrid.Namespace+"/locations/operationsStatus", eventgrid.Namespace+"/locations/operationResults"), h.getOperation},
	}
}

// deepRoutes serve the paths that do not follow ARM's own form: see parsePath.
func (h *Handler) deepRoutes() []route {
	tail := func(name string) func(*request) bool {
		return func(rq *request) bool { return rq.path.ID.Group == "" && strings.EqualFold(rq.path.Tail, name) }
	}
	return []route{
		{tail("tagNames"), h.serveTagName},
		{isDeepDeployment, h.serveDeepDeployment},
	}
}

// serveOpen serves what needs no token: the document by which clients find the
// sign-in, and the link by which an endpoint gives its consent.
func (h *Handler) serveOpen(rq *request) (bool, error) {
	path := strings.ToLower(strings.Trim(rq.http.URL.Path, "/"))
	switch {
	case path == "metadata/endpoints":
		return true, h.getMetadata(rq)
	case strings.HasPrefix(path, validationPath) && strings.HasSuffix(path, "/validate"):
		return true, h.confirmValidation(rq)
	}
	return false, nil
}

// only refuses other methods.
func (h *Handler) only(rq *request, methods ...string) error {
	if slices.Contains(methods, rq.http.Method) {
		return nil
	}
	return h.methodNotAllowed(rq, strings.Join(methods, ", "))
}

func anyFold(s string, of ...string) bool {
	for _, o := range of {
		if strings.EqualFold(s, o) {
			return true
		}
	}
	return false
}

// getMetadata tells clients where to sign in and what to ask for. The oldest
// api-versions and those from 2022 on answer with one object, the others with a
// list of clouds.
func (h *Handler) getMetadata(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	authentication := map[string]any{
		"loginEndpoint": rq.base + "/adfs", "audiences": []string{"https://management.azure.com/", "https://management.core.windows.net/"},
		"tenant": h.Tenant, "identityProvider": "AAD",
	}
	if rq.version == "" || rq.version < "2019" {
		writeJSON(rq.out, http.StatusOK, map[string]any{
			"galleryEndpoint": rq.base + "/", "graphEndpoint": rq.base + "/graph/", "portalEndpoint": rq.base + "/",
			"authentication": authentication,
		})
		return nil
	}
	cloud := map[string]any{
		"name": "Intertie", "resourceManager": rq.base, "portal": rq.base + "/", "authentication": authentication,
		"graph": rq.base + "/graph/", "graphAudience": rq.base + "/graph/", "microsoftGraphResourceId": rq.base + "/graph/",
		"suffixes": map[string]any{},
	}
	if rq.version < "2022-09-01" {
		writeJSON(rq.out, http.StatusOK, []any{cloud})
		return nil
	}
	// Clients build the names of what is not ours with the suffixes of Azure.
	authentication["tenant"] = "common"
	cloud["suffixes"] = map[string]any{"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"}
	writeJSON(rq.out, http.StatusOK, cloud)
	return nil
}
