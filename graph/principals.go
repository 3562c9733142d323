package graph

import (
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/access"
)

// createPrincipal turns a pending application into a principal that can sign in
// and be given roles.
func (h *Handler) createPrincipal(c *call) error {
	var body struct {
		AppID   string   `json:"appId"`
		Enabled flexBool `json:"accountEnabled"`
	}
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	if _, ok := h.Directory.ByAppID(body.AppID); !ok {
		return badRequest("Request_BadRequest",
			"The appId '"+body.AppID+"' of the service principal does not reference a valid application object.")
	}
	p, err := h.update(c.r.Context(), h.byAppID, body.AppID, func(p *access.ServicePrincipal) error {
		if !p.Pending {
			return &problem{
				http.StatusConflict, "Request_MultipleObjectsWithSameKeyValue",
				"The service principal cannot be created, updated, or restored because the service principal name " +
					p.AppID + " is already in use.",
			}
		}
		p.Pending, p.Disabled = false, body.Enabled.off
		return nil
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("service principal created")
	v := principalView(p)
	v.Context = c.context("servicePrincipals/$entity")
	writeJSON(c.w, http.StatusCreated, v)
	return nil
}

func (h *Handler) getPrincipal(c *call, find finder, id string) error {
	p, err := find(c.r.Context(), id)
	if err == nil && p.Pending {
		err = noSuch(id)
	}
	if err != nil {
		return err
	}
	v := principalView(p)
	v.Context = c.context("servicePrincipals/$entity")
	writeJSON(c.w, http.StatusOK, v)
	return nil
}

func (h *Handler) listPrincipals(c *call) error {
	found, err := h.search(c, false)
	if err != nil {
		return err
	}
	out := list[servicePrincipal]{Context: c.context("servicePrincipals"), Value: []servicePrincipal{}}
	for _, p := range found {
		out.Value = append(out.Value, principalView(p))
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

// maxIDs is Graph's limit for one getByIds.
const maxIDs = 1000

// getByIDs resolves object ids. Those it does not know are left out, as Graph
// does; az then shows an assignment without a name.
func (h *Handler) getByIDs(c *call) error {
	var body struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
	}
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	if len(body.IDs) > maxIDs {
		return badRequest("Request_BadRequest", "At most 1000 ids are allowed.")
	}
	wants := func(kind string) bool {
		return len(body.Types) == 0 || slices.ContainsFunc(body.Types, func(t string) bool {
			return strings.EqualFold(t, kind) || strings.EqualFold(t, "directoryObject")
		})
	}
	out := list[any]{Context: c.context("directoryObjects"), Value: []any{}}
	for _, id := range body.IDs {
		if p, err := h.byPrincipalID(c.r.Context(), id); err == nil && wants("servicePrincipal") {
			v := principalView(p)
			v.ODataType = typePrincipal
			out.Value = append(out.Value, v)
		}
	}
	if wants("application") {
		apps, err := h.Directory.List(c.r.Context())
		if err != nil {
			return err
		}
		for _, p := range apps {
			if slices.ContainsFunc(body.IDs, func(id string) bool { return strings.EqualFold(id, p.ApplicationID) }) {
				v := applicationView(p)
				v.ODataType = typeApplication
				out.Value = append(out.Value, v)
			}
		}
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}
