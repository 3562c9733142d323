package arm

import (
	"net/http"
	"net/url"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
)

// validationPath is where endpoints give their consent by hand.
const validationPath = "eventsubscriptions/"

// ValidationURL returns the link that grants consent for one handshake.
func ValidationURL(base string, hs eventgrid.Handshake, version string) string {
	q := url.Values{
		"id": {hs.Code}, "token": {hs.Token}, "apiVersion": {version}, "resource": {hs.SubscriptionID},
	}
	return base + "/" + validationPath + url.PathEscape(hs.SubscriptionName) + "/validate?" + q.Encode()
}

// confirmValidation takes an endpoint's consent: GET from a person's browser,
// GET or POST from a CloudEvents receiver. Following the link twice is fine.
func (h *Handler) confirmValidation(rq *request) error {
	if err := h.only(rq, http.MethodGet, http.MethodPost); err != nil {
		return err
	}
	q := rq.http.URL.Query()
	code, token := q.Get("id"), q.Get("token")
	if h.Rules.Validations.Confirm(code, token) {
		writeJSON(rq.out, http.StatusOK, "Webhook successfully validated as a subscription endpoint")
		return nil
	}
	id, err := resource.ParseID(q.Get("resource"))
	confirmed := false
	if err == nil {
		// A look first: strangers' guesses must not queue up with real writes.
		confirmed, err = eventgrid.ConfirmStored(newDraft(h.Store), id, code, token, rq.now)
		if err != nil {
			return err
		}
	}
	if confirmed {
		err = h.commit(rq, func(tx resource.Tx) error {
			var err error
			confirmed, err = eventgrid.ConfirmStored(tx, id, code, token, rq.now)
			return err
		})
		if err != nil {
			return err
		}
	}
	if h.Activity != nil {
		// The write that asked for the consent ends here, long after its request.
		h.Activity.Service(rq.http.Context(), rq.changes, rq.now)
	}
	if !confirmed {
		return resource.Invalid("This validation link is not valid, or its time has passed. Create or update the event subscription to get a new one.")
	}
	writeJSON(rq.out, http.StatusOK, "Webhook successfully validated as a subscription endpoint")
	return nil
}
