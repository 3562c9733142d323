package arm

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// TypeRoleDefinition is the type of stored role definitions: the custom ones.
// They lie at the root whatever scope they are reached by, since their names and
// ids are those of the tenant.
const TypeRoleDefinition = "Microsoft.Authorization/roleDefinitions"

const (
	customRole  = "CustomRole"
	builtInRole = "BuiltInRole"

	codeRoleNameTaken resource.Code = "RoleDefinitionWithSameNameExists"
	codeRoleAssigned  resource.Code = "RoleDefinitionHasAssignments"
	codeRoleBuiltIn   resource.Code = "BuiltInRoleDefinitionIsReadOnly"
	codeBadRole       resource.Code = "InvalidRoleDefinition"
)

// What one custom role may hold: its record must fit the store with room to
// spare, and a decision looks at every pattern.
const (
	maxRoleName        = 512
	maxRoleDescription = 2048
	maxRoleScopes      = 200
	maxRolePatterns    = 1000
	maxRolePattern     = 256
)

// RoleDefinition is the properties of a role.
type RoleDefinition struct {
	RoleName         string           `json:"roleName"`
	Type             string           `json:"type"`
	Description      string           `json:"description"`
	AssignableScopes []string         `json:"assignableScopes"`
	Permissions      []RolePermission `json:"permissions"`
	CreatedOn        *resource.Time   `json:"createdOn,omitempty"`
	UpdatedOn        *resource.Time   `json:"updatedOn,omitempty"`
	CreatedBy        string           `json:"createdBy,omitempty"`
	UpdatedBy        string           `json:"updatedBy,omitempty"`
}

// RolePermission is one set of rights of a role.
type RolePermission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

// RoleOf turns a stored role definition into what decisions are made by.
func RoleOf(r *resource.Resource) (access.Role, error) {
	p, err := resource.Properties[RoleDefinition](r)
	if err != nil {
		return access.Role{}, err
	}
	role := access.Role{ID: r.ID.Name(), Name: p.RoleName, Description: p.Description, Custom: true, AssignableScopes: p.AssignableScopes}
	for _, q := range p.Permissions {
		role.Permissions = append(role.Permissions, access.Permission(q))
	}
	return role, nil
}

func definitionOf(role access.Role) *RoleDefinition {
	return &RoleDefinition{
		RoleName: role.Name, Type: builtInRole, Description: role.Description,
		AssignableScopes: role.AssignableScopes, Permissions: rolePermissions(role),
	}
}

func rolePermissions(role access.Role) []RolePermission {
	out := []RolePermission{}
	for _, p := range role.Permissions {
		out = append(out, RolePermission{orEmpty(p.Actions), orEmpty(p.NotActions), orEmpty(p.DataActions), orEmpty(p.NotDataActions)})
	}
	return out
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// storedRoleID is where the custom role with a GUID is stored.
func storedRoleID(guid string) resource.ID {
	return resource.ID{}.Provider(TypeRoleDefinition, strings.ToLower(guid))
}

// findRole returns a role by its GUID or by the id of its definition, at whatever
// scope that is written.
func findRole(tx resource.Tx, id string) (access.Role, bool, error) {
	guid := strings.ToLower(id)
	if strings.Contains(id, "/") {
		at, err := resource.ParseID(id)
		if err != nil || !strings.EqualFold(at.Type(), TypeRoleDefinition) {
			return access.Role{}, false, nil //nolint:nilerr // there is no such role
		}
		guid = strings.ToLower(at.Name())
	}
	if role, ok := access.BuiltInRole(guid); ok {
		return role, true, nil
	}
	if guid == "" {
		return access.Role{}, false, nil
	}
	r, ok := tx.Get(storedRoleID(guid))
	if !ok {
		return access.Role{}, false, nil
	}
	role, err := RoleOf(r)
	return role, err == nil, err
}

// visibleAt reports whether a role is one of those at scope: it can be assigned
// there or, with below, somewhere below.
func visibleAt(role access.Role, scope resource.ID, below bool) bool {
	if role.AssignableAt(scope.String()) {
		return true
	}
	return below && slices.ContainsFunc(role.AssignableScopes, func(s string) bool { return access.ScopeWithin(s, scope.String()) })
}

func (h *Handler) listRoleDefinitions(rq *request) error {
	if err := h.only(rq, http.MethodGet); err != nil {
		return err
	}
	scope, err := h.roleScope(rq.path.ID)
	if err != nil {
		return err
	}
	if err := h.authorize(rq, TypeRoleDefinition+"/read", scope); err != nil {
		return err
	}
	filter, err := parseRoleFilter(queryParam(rq.http, "$filter"), definitionTerms)
	if err != nil {
		return err
	}
	value := []any{}
	for _, role := range access.BuiltInRoles() {
		if p := definitionOf(role); filter.allows(termRoleName, p.RoleName) && filter.allows(termType, p.Type) {
			value = append(value, presentRole(scope, role.ID, p))
		}
	}
	for r, p := range eachReadable[RoleDefinition](h.Logger, h.Store.List(TypeRoleDefinition, resource.ID{})) {
		role := access.Role{AssignableScopes: p.AssignableScopes}
		if filter.allows(termRoleName, p.RoleName) && filter.allows(termType, p.Type) && visibleAt(role, scope, filter.has(termAtScopeAndBelow)) {
			value = append(value, presentRole(scope, r.ID.Name(), p))
		}
	}
	writeJSON(rq.out, http.StatusOK, map[string]any{"value": value})
	return nil
}

func (h *Handler) serveRoleDefinition(rq *request) error {
	verb, ok := verbs[rq.http.Method]
	if !ok || rq.http.Method == http.MethodPatch {
		return h.methodNotAllowed(rq, "GET, PUT, DELETE")
	}
	scope, err := h.roleScope(rq.path.ID.Scope())
	if err != nil {
		return err
	}
	if err := h.authorize(rq, TypeRoleDefinition+"/"+verb, scope); err != nil {
		return err
	}
	guid := rq.path.ID.Name()
	if rq.http.Method == http.MethodGet || rq.http.Method == http.MethodHead {
		return h.getRoleDefinition(rq, scope, guid)
	}
	rq.concerns(scope.Provider(TypeRoleDefinition, guid), storedRoleID(guid))
	if _, ok := access.BuiltInRole(guid); ok {
		return resource.Errorf(codeRoleBuiltIn, "The role definition '%s' is built in: it cannot be changed or deleted.", guid)
	}
	if rq.http.Method == http.MethodPut {
		return h.putRoleDefinition(rq, scope, guid)
	}
	return h.deleteRoleDefinition(rq, scope, guid)
}

func (h *Handler) getRoleDefinition(rq *request, scope resource.ID, guid string) error {
	role, ok, err := findRole(readOnly{h.Store}, guid)
	if err != nil {
		return err
	}
	if !ok || !visibleAt(role, scope, true) {
		return resource.Errorf(resource.NotFound, "The role definition '%s' could not be found.", guid)
	}
	p := definitionOf(role)
	if r, ok := h.Store.Get(storedRoleID(guid)); ok && role.Custom {
		if p, err = resource.Properties[RoleDefinition](r); err != nil {
			return err
		}
	}
	writeJSON(rq.out, http.StatusOK, presentRole(scope, role.ID, p))
	return nil
}

func presentRole(scope resource.ID, guid string, p *RoleDefinition) any {
	return map[string]any{"id": roleDefinitionID(scope, guid), "name": guid, "type": TypeRoleDefinition, "properties": p}
}

// putRoleDefinition creates or replaces a custom role. Who does so gives its
// rights to whoever holds the role, wherever it can be assigned; so it takes the
// right to write roles at each of the assignable scopes, the old and the new.
func (h *Handler) putRoleDefinition(rq *request, scope resource.ID, guid string) error {
	if _, err := uuid.Parse(guid); err != nil || len(guid) != 36 {
		return resource.Errorf(codeBadRole, "The role definition ID '%s' is not valid. The role definition ID must be a GUID.", guid)
	}
	next, err := h.readRoleDefinition(rq)
	if err != nil {
		return err
	}
	if err := h.authorizeRole(rq, next); err != nil {
		return err
	}
	err = h.commit(rq, func(tx resource.Tx) error {
		old, exists := tx.Get(storedRoleID(guid))
		rq.created = !exists
		if err := h.checkRoleDefinition(tx, guid, next); err != nil {
			return err
		}
		r := &resource.Resource{
			ID: storedRoleID(guid), UID: resource.NewUID(), Type: TypeRoleDefinition, CreatedAt: rq.now, CreatedBy: rq.caller.ObjectID,
		}
		if exists {
			was, err := resource.Properties[RoleDefinition](old)
			if err != nil {
				return err
			}
			if err := h.authorizeRole(rq, was); err != nil {
				return err
			}
			r = old.Clone()
			next.CreatedOn, next.CreatedBy = was.CreatedOn, was.CreatedBy
			next.keepUnknown(was, rq.version)
		}
		r.ModifiedAt, r.ModifiedBy = rq.now, rq.caller.ObjectID
		if err := resource.Encode(r, next); err != nil {
			return err
		}
		tx.Put(r)
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(rq.out, http.StatusCreated, presentRole(scope, strings.ToLower(guid), next))
	return nil
}

// firstWithDataActions is the first api-version that knows data actions.
const firstWithDataActions = "2018-01-01-preview"

// keepUnknown leaves data actions as they were where the api-version of a write does
// not know them, permission by permission.
func (p *RoleDefinition) keepUnknown(was *RoleDefinition, version string) {
	if version >= firstWithDataActions || len(p.Permissions) != len(was.Permissions) {
		return
	}
	for i, old := range was.Permissions {
		if q := &p.Permissions[i]; len(q.DataActions)+len(q.NotDataActions) == 0 {
			q.DataActions, q.NotDataActions = old.DataActions, old.NotDataActions
		}
	}
}

func (h *Handler) authorizeRole(rq *request, p *RoleDefinition) error {
	for _, s := range p.AssignableScopes {
		at, err := resource.ParseID(s)
		if err != nil {
			return err
		}
		if err := h.authorizeToo(rq, TypeRoleDefinition+"/write", at); err != nil {
			return err
		}
	}
	return nil
}

// checkRoleDefinition checks a role against what else there is.
func (h *Handler) checkRoleDefinition(tx resource.Tx, guid string, next *RoleDefinition) error {
	for _, s := range next.AssignableScopes {
		at, err := resource.ParseID(s)
		if err != nil {
			return err
		}
		if err := checkScope(tx, at); err != nil {
			return err
		}
	}
	taken := slices.ContainsFunc(access.BuiltInRoles(), func(r access.Role) bool { return strings.EqualFold(r.Name, next.RoleName) })
	for other, p := range eachReadable[RoleDefinition](h.Logger, tx.List(TypeRoleDefinition, resource.ID{})) {
		taken = taken || !strings.EqualFold(other.ID.Name(), guid) && strings.EqualFold(p.RoleName, next.RoleName)
	}
	if taken {
		return resource.Errorf(codeRoleNameTaken, "A role with the name '%s' already exists in this directory. Use a different name.", next.RoleName)
	}
	role := access.Role{AssignableScopes: next.AssignableScopes}
	// The authorizer follows the store, and knows them without a look at all others.
	for _, a := range h.Authorizer.Assigned(guid) {
		if !role.AssignableAt(a.Scope) {
			return resource.Errorf(codeRoleAssigned,
				"The role is assigned at a scope that its assignable scopes would not cover any more. Delete that assignment first.")
		}
	}
	return nil
}

func (h *Handler) readRoleDefinition(rq *request) (*RoleDefinition, error) {
	raw, err := rq.bodyOf(smallBody)
	if err != nil {
		return nil, err
	}
	var body struct {
		Properties RoleDefinition `json:"properties"`
	}
	if err := resource.DecodeBody(raw, &body); err != nil {
		return nil, err
	}
	p := &body.Properties
	p.RoleName = strings.TrimSpace(p.RoleName)
	switch {
	case p.RoleName == "" || utf8.RuneCountInString(p.RoleName) > maxRoleName:
		return nil, resource.Errorf(codeBadRole, "The property 'roleName' is required and has at most %d characters.", maxRoleName)
	case utf8.RuneCountInString(p.Description) > maxRoleDescription:
		return nil, resource.Errorf(codeBadRole, "The property 'description' has at most %d characters.", maxRoleDescription)
	case p.Type != "" && !strings.EqualFold(p.Type, customRole):
		return nil, resource.Errorf(codeBadRole, "The type '%s' of a role cannot be written; a role that is written is a %s.", p.Type, customRole)
	case len(p.AssignableScopes) == 0 || len(p.AssignableScopes) > maxRoleScopes:
		return nil, resource.Errorf(codeBadRole, "The property 'assignableScopes' is required and has at most %d values.", maxRoleScopes)
	}
	p.Type = customRole
	for i, s := range p.AssignableScopes {
		id, err := resource.ParseID(s)
		if err != nil || s == "" {
			return nil, resource.Errorf(codeBadRole, "The assignable scope '%s' is not the id of a scope.", s)
		}
		if id, err = h.roleScope(id); err != nil {
			return nil, err
		}
		p.AssignableScopes[i] = id.String()
	}
	if err := checkPatterns(p.Permissions); err != nil {
		return nil, err
	}
	for i, q := range p.Permissions {
		p.Permissions[i] = RolePermission{orEmpty(q.Actions), orEmpty(q.NotActions), orEmpty(q.DataActions), orEmpty(q.NotDataActions)}
	}
	if p.Permissions == nil {
		p.Permissions = []RolePermission{}
	}
	now := resource.Time(rq.now)
	p.CreatedOn, p.UpdatedOn, p.CreatedBy, p.UpdatedBy = &now, &now, rq.caller.ObjectID, rq.caller.ObjectID
	return p, nil
}

// checkPatterns takes an action of any provider, and wildcards anywhere in it.
func checkPatterns(permissions []RolePermission) error {
	count := 0
	for _, p := range permissions {
		for _, pattern := range slices.Concat(p.Actions, p.NotActions, p.DataActions, p.NotDataActions) {
			count++
			valid := pattern != "" && len(pattern) <= maxRolePattern && (strings.Contains(pattern, "/") || strings.Contains(pattern, "*")) &&
				strings.IndexFunc(pattern, func(r rune) bool { return r <= ' ' || r > '~' || r == '\'' || r == '"' }) < 0
			if !valid {
				return resource.Errorf(codeBadRole, "'%.300s' is not an action: it must look like Microsoft.EventGrid/topics/read, with * for any characters, and have at most %d characters.",
					pattern, maxRolePattern)
			}
		}
	}
	if count == 0 || count > maxRolePatterns {
		return resource.Errorf(codeBadRole, "A role has between 1 and %d actions.", maxRolePatterns)
	}
	return nil
}

func (h *Handler) deleteRoleDefinition(rq *request, scope resource.ID, guid string) error {
	var removed *RoleDefinition
	err := h.commit(rq, func(tx resource.Tx) error {
		removed = nil
		r, ok := tx.Get(storedRoleID(guid))
		if !ok {
			return nil
		}
		p, err := resource.Properties[RoleDefinition](r)
		if err != nil {
			return err
		}
		for _, s := range p.AssignableScopes {
			at, err := resource.ParseID(s)
			if err != nil {
				return err
			}
			if err := h.authorizeToo(rq, TypeRoleDefinition+"/delete", at); err != nil {
				return err
			}
		}
		if assigned := h.Authorizer.Assigned(guid); len(assigned) > 0 {
			return resource.Errorf(codeRoleAssigned, "There are existing role assignments referencing the role '%s' (%d). Delete them first.", p.RoleName, len(assigned))
		}
		removed = p
		tx.Delete(r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	if removed == nil {
		rq.out.WriteHeader(http.StatusNoContent)
		return nil
	}
	writeJSON(rq.out, http.StatusOK, presentRole(scope, strings.ToLower(guid), removed))
	return nil
}
