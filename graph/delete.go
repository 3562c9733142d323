package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/intertie/intertie/access"
)

// deleteApplication deletes an application with its principal. Unlike in Graph
// there is no bin to get it back from.
func (h *Handler) deleteApplication(c *call, find finder, id string) error {
	p, err := h.remove(c, find, id, func(access.ServicePrincipal) *access.ServicePrincipal { return nil })
	if err != nil {
		return err
	}
	h.audit(c, p).Info("application deleted")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// deletePrincipal deletes a principal and leaves its application, from which
// another principal can be made. That one has another object id: roles that were
// assigned to the first must not come to life again.
func (h *Handler) deletePrincipal(c *call, find finder, id string) error {
	p, err := h.remove(c, find, id, func(p access.ServicePrincipal) *access.ServicePrincipal {
		rest := p.Clone()
		rest.ApplicationID = applicationID(p)
		rest.ObjectID, rest.Pending, rest.Disabled, rest.Revision = uuid.NewString(), true, false, 0
		return &rest
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("service principal deleted")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// remove repeats the deletion on a newer state, as update does. Nobody can
// delete the principal they act as: whoever could make principals is still there
// when the call is done.
func (h *Handler) remove(c *call, find finder, id string, rest func(access.ServicePrincipal) *access.ServicePrincipal) (access.ServicePrincipal, error) {
	for try := 1; ; try++ {
		p, err := find(c.r.Context(), id)
		if err != nil {
			return p, err
		}
		switch {
		case strings.EqualFold(p.ObjectID, c.caller.ObjectID):
			return p, badRequest("Request_BadRequest", "A service principal cannot delete itself; use another one.")
		case p.Pending && rest(p) != nil:
			return p, noSuch(id)
		}
		err = h.Directory.Remove(c.r.Context(), p, rest(p))
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, access.ErrConflict) || try == maxTries {
			return p, fmt.Errorf("remove service principal %s: %w", p.AppID, err)
		}
	}
}

// flexBool is a boolean that some clients send as a text; absent is true.
type flexBool struct{ sent, off bool }

// UnmarshalJSON implements [json.Unmarshaler].
func (b *flexBool) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true":
		*b = flexBool{sent: true}
	case "false":
		*b = flexBool{sent: true, off: true}
	case "null":
	default:
		return errors.New("not a boolean")
	}
	return nil
}

func (h *Handler) updatePrincipal(c *call, find finder, id string) error {
	var body struct {
		applicationBody
		Enabled flexBool `json:"accountEnabled"`
	}
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	p, err := h.update(c.r.Context(), func(ctx context.Context, id string) (access.ServicePrincipal, error) {
		p, err := find(ctx, id)
		if err == nil && p.Pending {
			err = noSuch(id)
		}
		return p, err
	}, id, func(p *access.ServicePrincipal) error {
		if body.Enabled.off && strings.EqualFold(p.ObjectID, c.caller.ObjectID) {
			return badRequest("Request_BadRequest", "A service principal cannot disable itself; use another one.")
		}
		if body.Enabled.sent {
			p.Disabled = body.Enabled.off
		}
		return body.apply(p)
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("service principal changed")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}
