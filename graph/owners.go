package graph

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/access"
)

// maxOwners bounds the record of a principal.
const maxOwners = 100

// listOwners shows the owners that are principals of this server.
func (h *Handler) listOwners(c *call, find finder, id string) error {
	p, err := find(c.r.Context(), id)
	if err != nil {
		return err
	}
	out := list[servicePrincipal]{Context: c.context("directoryObjects"), Value: []servicePrincipal{}}
	for _, owner := range p.Owners {
		if o, ok := h.Directory.ByObjectID(owner); ok && !o.Pending {
			v := principalView(o)
			v.ODataType = typePrincipal
			out.Value = append(out.Value, v)
		}
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

// addOwner takes a reference: the URL of a directory object, whatever its host.
func (h *Handler) addOwner(c *call, find finder, id string) error {
	var body struct {
		Reference string `json:"@odata.id"`
	}
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	owner, ok := referenced(body.Reference)
	if !ok {
		return noSuch(body.Reference)
	}
	if o, ok := h.Directory.ByObjectID(owner); !ok || o.Pending {
		return noSuch(owner)
	}
	p, err := h.update(c.r.Context(), find, id, func(p *access.ServicePrincipal) error {
		switch {
		case slices.ContainsFunc(p.Owners, func(o string) bool { return strings.EqualFold(o, owner) }):
			return badRequest("Request_BadRequest", "One or more added object references already exist for the following modified properties: 'owners'.")
		case len(p.Owners) >= maxOwners:
			return badRequest("Request_BadRequest", fmt.Sprintf("At most %d owners are allowed.", maxOwners))
		}
		p.Owners = append(p.Owners, strings.ToLower(owner))
		return nil
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("owner added", "owner", owner)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// referenced returns the object id in the URL of a directory object.
func referenced(url string) (id string, ok bool) {
	s := split(url)
	if len(s) < 2 {
		return "", false
	}
	set := s[len(s)-2]
	return s[len(s)-1], slices.ContainsFunc([]string{"directoryObjects", "servicePrincipals", "users"}, func(known string) bool { return strings.EqualFold(set, known) })
}

func (h *Handler) removeOwner(c *call, find finder, id, owner string) error {
	p, err := h.update(c.r.Context(), find, id, func(p *access.ServicePrincipal) error {
		kept := slices.DeleteFunc(p.Owners, func(o string) bool { return strings.EqualFold(o, owner) })
		if len(kept) == len(p.Owners) {
			return noSuch(owner)
		}
		p.Owners = kept
		return nil
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("owner removed", "owner", owner)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// listOwned shows what the caller owns.
func (h *Handler) listOwned(c *call) error {
	all, err := h.Directory.List(c.r.Context())
	if err != nil {
		return fmt.Errorf("list service principals: %w", err)
	}
	out := list[any]{Context: c.context("directoryObjects"), Value: []any{}}
	for _, p := range all {
		if !slices.ContainsFunc(p.Owners, func(o string) bool { return strings.EqualFold(o, c.caller.ObjectID) }) {
			continue
		}
		app := applicationView(p)
		app.ODataType = typeApplication
		out.Value = append(out.Value, app)
		if !p.Pending {
			sp := principalView(p)
			sp.ODataType = typePrincipal
			out.Value = append(out.Value, sp)
		}
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}
