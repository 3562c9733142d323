package graph

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/intertie/intertie/access"
)

const (
	maxName = 256
	// maxCredentials bounds secrets and certificates of one application each,
	// and so the size of its record and the cost of a sign-in.
	maxCredentials = 64
	// secretYears is how long a secret lasts when the request does not say.
	secretYears = 2
)

type applicationBody struct {
	DisplayName *string          `json:"displayName"`
	Keys        *[]keyCredential `json:"keyCredentials"`
}

// apply sets what the body has.
func (b applicationBody) apply(p *access.ServicePrincipal) error {
	if b.DisplayName != nil {
		p.DisplayName = strings.TrimSpace(*b.DisplayName)
	}
	if p.DisplayName == "" || len(p.DisplayName) > maxName {
		return badRequest("Request_BadRequest", fmt.Sprintf("Property displayName is required and has at most %d characters.", maxName))
	}
	if b.Keys != nil {
		certs, err := certificates(*b.Keys, p.Certificates)
		if err != nil {
			return err
		}
		p.Certificates = certs
	}
	return nil
}

func (h *Handler) createApplication(c *call) error {
	var body applicationBody
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	p := access.NewServicePrincipal(h.Tenant, "", h.now())
	p.Pending = true
	p.Owners = []string{c.caller.ObjectID}
	if err := body.apply(&p); err != nil {
		return err
	}
	if err := h.Directory.Put(c.r.Context(), p); err != nil {
		return fmt.Errorf("store application: %w", err)
	}
	h.audit(c, p).Info("application created")
	v := applicationView(p)
	v.Context = c.context("applications/$entity")
	writeJSON(c.w, http.StatusCreated, v)
	return nil
}

func (h *Handler) updateApplication(c *call, find finder, id string) error {
	var body applicationBody
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	p, err := h.update(c.r.Context(), find, id, body.apply)
	if err != nil {
		return err
	}
	h.audit(c, p).Info("application changed")
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) getApplication(c *call, find finder, id string) error {
	p, err := find(c.r.Context(), id)
	if err != nil {
		return err
	}
	v := applicationView(p)
	v.Context = c.context("applications/$entity")
	writeJSON(c.w, http.StatusOK, v)
	return nil
}

func (h *Handler) listApplications(c *call) error {
	found, err := h.search(c, true)
	if err != nil {
		return err
	}
	out := list[application]{Context: c.context("applications"), Value: []application{}}
	for _, p := range found {
		out.Value = append(out.Value, applicationView(p))
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

type passwordBody struct {
	Credential passwordCredential `json:"passwordCredential"`
}

// addPassword makes a secret. The answer is the only place its text is ever
// shown in.
func (h *Handler) addPassword(c *call, find finder, id string) error {
	var body passwordBody
	if err := c.readBody(&body, true); err != nil {
		return err
	}
	start, err := parseTime(body.Credential.Start, h.now())
	if err != nil {
		return err
	}
	end, err := parseTime(body.Credential.End, start.AddDate(secretYears, 0, 0))
	if err != nil {
		return err
	}
	if !end.After(start) {
		return badRequest("Request_BadRequest", "endDateTime must be after startDateTime.")
	}
	name := ""
	if body.Credential.DisplayName != nil {
		name = *body.Credential.DisplayName
	}
	if len(name) > maxName {
		return badRequest("Request_BadRequest", fmt.Sprintf("displayName has more than %d characters.", maxName))
	}

	plain, secret := access.NewSecret(name, start, end)
	secret.Planned = body.Credential.Start != nil && *body.Credential.Start != ""
	p, err := h.update(c.r.Context(), find, id, func(p *access.ServicePrincipal) error {
		if len(p.Secrets) >= maxCredentials {
			return badRequest("Request_BadRequest", fmt.Sprintf("The application has %d passwords already. Remove one first.", maxCredentials))
		}
		p.Secrets = append(p.Secrets, secret)
		return nil
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("secret added", slog.String("key_id", secret.KeyID))
	v := passwordView(secret)
	v.SecretText = &plain
	v.Context = c.context("microsoft.graph.passwordCredential")
	c.w.Header().Set("Cache-Control", "no-store")
	writeJSON(c.w, http.StatusOK, v)
	return nil
}

func (h *Handler) removePassword(c *call, find finder, id string) error {
	var body struct {
		KeyID string `json:"keyId"`
	}
	if err := c.readBody(&body, false); err != nil {
		return err
	}
	p, err := h.update(c.r.Context(), find, id, func(p *access.ServicePrincipal) error {
		kept := slices.DeleteFunc(p.Secrets, func(s access.Secret) bool { return strings.EqualFold(s.KeyID, body.KeyID) })
		if len(kept) == len(p.Secrets) {
			return badRequest("Request_BadRequest", "No password credential found with the keyId of the request.")
		}
		p.Secrets = kept
		return nil
	})
	if err != nil {
		return err
	}
	h.audit(c, p).Info("secret removed", slog.String("key_id", body.KeyID))
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// audit returns a logger that names who changes whom. It never gets to see a
// secret.
func (h *Handler) audit(c *call, p access.ServicePrincipal) *slog.Logger {
	return h.logger().With(
		slog.String("app_id", p.AppID), slog.String("object_id", p.ObjectID), slog.String("display_name", p.DisplayName),
	).With(h.who(c)...)
}

// who names the caller under the names that the management API uses.
func (h *Handler) who(c *call) []any {
	address := c.r.RemoteAddr
	if h.ClientIP != nil {
		address = h.ClientIP(c.r)
	} else if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return []any{
		slog.String("principal", c.caller.ObjectID), slog.String("client", c.caller.AppID), slog.String("name", c.caller.Name),
		slog.String("issuer", c.caller.Issuer), slog.String("address", address), slog.String("remote", c.r.RemoteAddr),
		slog.String("request", c.id),
	}
}

func (c *call) context(of string) string {
	return c.base + "/" + root + "/" + version + "/$metadata#" + of
}
