package graph

import (
	"net/http"
	"strings"
)

type user struct {
	Context       string `json:"@odata.context,omitempty"`
	ODataType     string `json:"@odata.type"`
	ID            string `json:"id"`
	DisplayName   string `json:"displayName"`
	PrincipalName string `json:"userPrincipalName"`
}

// getMe answers who the caller is. Users come from other issuers only, so a
// program of this server is told what Graph tells programs.
func (h *Handler) getMe(c *call) error {
	if _, ok := h.Directory.ByObjectID(c.caller.ObjectID); ok {
		return badRequest("BadRequest", "/me request is only valid with delegated authentication flow.")
	}
	writeJSON(c.w, http.StatusOK, user{
		Context: c.context("users/$entity"), ODataType: typeUser, ID: c.caller.ObjectID,
		DisplayName: c.caller.Name, PrincipalName: c.caller.Name,
	})
	return nil
}

type organization struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	TenantType  string `json:"tenantType"`
	Domains     []any  `json:"verifiedDomains"`
}

func (h *Handler) organization() organization {
	return organization{ID: h.Tenant, DisplayName: "Intertie", TenantType: "AAD", Domains: []any{}}
}

func (h *Handler) listOrganization(c *call) error {
	writeJSON(c.w, http.StatusOK, list[organization]{Context: c.context("organization"), Value: []organization{h.organization()}})
	return nil
}

func (h *Handler) getOrganization(c *call, id string) error {
	if !strings.EqualFold(id, h.Tenant) {
		return noSuch(id)
	}
	writeJSON(c.w, http.StatusOK, h.organization())
	return nil
}

// nobody answers for the users and groups that the directory does not have,
// whatever is asked of them: those of other issuers are not listed anywhere.
func nobody(c *call, set string) error {
	writeJSON(c.w, http.StatusOK, list[any]{Context: c.context(set), Value: []any{}})
	return nil
}
