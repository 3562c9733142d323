package arm

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

const (
	typePermissions        = "Microsoft.Authorization/permissions"
	typeProviderOperations = "Microsoft.Authorization/providerOperations"
	typeManagementGroup    = "Microsoft.Management/managementGroups"
)

// roleScope returns the scope that roles are looked up at. This server has one
// management group, that of the tenant: it is the root.
func (h *Handler) roleScope(scope resource.ID) (resource.ID, error) {
	if scope.Subscription != "" || !strings.EqualFold(scope.Type(), typeManagementGroup) {
		return scope, nil
	}
	if !strings.EqualFold(scope.Name(), h.Tenant) {
		return resource.ID{}, resource.Errorf(resource.NotFound, "The management group '%s' cannot be found; there is only that of the tenant, '%s'.", scope.Name(), h.Tenant)
	}
	return resource.ID{}, nil
}

// listPermissions shows what the caller may do at a scope.
func (h *Handler) listPermissions(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope, err := h.roleScope(rq.path.ID)
	if err != nil {
		return err
	}
	if err := h.authorize(rq, typePermissions+"/read", scope); err != nil {
		return err
	}
	if err := checkScope(readOnly{h.Store}, scope); err != nil {
		return err
	}
	value := []RolePermission{}
	for _, role := range h.Authorizer.RolesAt(rq.caller.ObjectID, scope.String(), rq.caller.Groups...) {
		for _, p := range rolePermissions(role) {
			if !slices.ContainsFunc(value, func(known RolePermission) bool { return reflect.DeepEqual(known, p) }) {
				value = append(value, p)
			}
		}
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

// listProviderOperations shows what roles can allow, in all providers whose
// operations are known: one.
func (h *Handler) listProviderOperations(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": []any{h.providerOperations()}})
	return nil
}

func (h *Handler) getProviderOperations(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	if !strings.EqualFold(rq.path.ID.Name(), eventgrid.Namespace) {
		return resource.Errorf(resource.InvalidNamespace, "The operations of the provider '%s' are not known.", rq.path.ID.Name())
	}
	writeJSON(rq.out, http.StatusOK, h.providerOperations())
	return nil
}

// operationOf is an operation as this list has it; that of the provider itself
// is laid out in another way.
type operationOf struct {
	Name         string `json:"name"`
	DisplayName  string `json:"displayName"`
	Description  string `json:"description"`
	Origin       string `json:"origin"`
	Properties   any    `json:"properties"`
	IsDataAction bool   `json:"isDataAction"`
}

type operationsOfType struct {
	Name        string        `json:"name"`
	DisplayName string        `json:"displayName"`
	Operations  []operationOf `json:"operations"`
}

func (h *Handler) providerOperations() any {
	operations, types := []operationOf{}, []*operationsOfType{}
	for _, op := range h.Rules.Operations() {
		o := operationOf{Name: op.Name, DisplayName: op.Display.Operation, Description: op.Display.Description, Origin: op.Origin, IsDataAction: op.IsDataAction}
		typ := operationType(op.Name)
		if typ == "" {
			operations = append(operations, o)
			continue
		}
		i := slices.IndexFunc(types, func(t *operationsOfType) bool { return strings.EqualFold(t.Name, typ) })
		if i < 0 {
			i, types = len(types), append(types, &operationsOfType{Name: typ, DisplayName: op.Display.Resource})
		}
		types[i].Operations = append(types[i].Operations, o)
	}
	return map[string]any{
		"id": "/providers/" + typeProviderOperations + "/" + eventgrid.Namespace, "type": typeProviderOperations, "name": eventgrid.Namespace,
		"displayName": "Microsoft Event Grid", "operations": operations, "resourceTypes": types,
	}
}

// operationType returns the type of Microsoft.EventGrid/topics/listKeys/action,
// topics, and "" when the operation is the provider's own.
func operationType(name string) string {
	parts := strings.Split(name, "/")
	parts = parts[1 : len(parts)-1]
	if len(parts) > 0 && strings.HasSuffix(name, "/action") {
		parts = parts[:len(parts)-1]
	}
	return strings.Join(parts, "/")
}
