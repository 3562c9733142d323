package eventgrid

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/intertie/intertie/resource"
)

// consentOf is what decides where events go.
type consentOf struct{ State, Base, Validated string }

func (w *world) consent() consentOf {
	p := props[EventSubscription](w, subscriptionID)
	return consentOf{p.ProvisioningState, w.hook().EndpointBaseURL, w.get(subscriptionID).Secrets[SecretValidatedURL]}
}

func (w *world) wantConsent(state, base, validated string) {
	w.t.Helper()
	if diff := cmp.Diff(consentOf{state, base, validated}, w.consent()); diff != "" {
		w.t.Errorf("(-want +got):\n%s", diff)
	}
}

// follow follows the link that was sent with a handshake.
func (w *world) follow(h Handshake) bool {
	w.t.Helper()
	id, err := resource.ParseID(h.SubscriptionID)
	w.must(err)
	if w.rules.Validations.Confirm(h.Code, h.Token) {
		return true
	}
	var ok bool
	w.must(w.change(func(tx resource.Tx) error {
		var err error
		ok, err = ConfirmStored(tx, id, h.Code, h.Token, w.now)
		return err
	}))
	return ok
}

func (w *world) lastAsked() Handshake { return w.hooks.asked[len(w.hooks.asked)-1] }

const oldURL, newURL = "https://old.example/hook", "https://new.example/hook"

func withURL(url string) string { return hookBody(url+"?code=1", "") }

func TestConsentGivenAtOnce(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.wantConsent(Succeeded, oldURL, oldURL+"?code=1")
	h := w.lastAsked()
	want := Handshake{URL: oldURL + "?code=1", SubscriptionName: "es1", Topic: topicID.String(), SubscriptionID: subscriptionID.String(), Code: h.Code, Token: h.Token}
	if diff := cmp.Diff(want, h); diff != "" || h.Code == "" || len(h.Token) < 43 {
		t.Errorf("asked %+v\n%s", h, diff)
	}
	if w.follow(h) {
		t.Error("the link works although nothing waits for it")
	}
}

func TestConsentByTheLinkLater(t *testing.T) {
	w := newWorld(t).withChannel()
	w.hooks.granted = false
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.wantConsent(AwaitingManualAction, oldURL, "")
	h := w.lastAsked()
	for name, wrong := range map[string]Handshake{
		"token":    {Code: h.Code, Token: h.Token[1:] + "x", SubscriptionID: h.SubscriptionID},
		"no token": {Code: h.Code, SubscriptionID: h.SubscriptionID},
		"code":     {Code: "x", Token: h.Token, SubscriptionID: h.SubscriptionID},
		"nothing":  {SubscriptionID: h.SubscriptionID},
		"resource": {Code: h.Code, Token: h.Token, SubscriptionID: topicID.String()},
		"no such":  {Code: h.Code, Token: h.Token, SubscriptionID: topicID.Child("eventSubscriptions", "x").String()},
	} {
		if w.follow(wrong) {
			t.Errorf("a link with another %s works", name)
		}
	}
	w.wantConsent(AwaitingManualAction, oldURL, "")
	h.Code = strings.ToLower(h.Code)
	for range 2 { // browsers follow links twice
		if !w.follow(h) {
			t.Error("the link does not work")
		}
		w.wantConsent(Succeeded, oldURL, oldURL+"?code=1")
	}
}

func TestConsentWhileTheEndpointIsStillAnswering(t *testing.T) {
	w := newWorld(t).withChannel()
	w.hooks.granted = false
	w.hooks.during = func(h Handshake) {
		if !w.follow(h) {
			t.Error("the link does not work yet")
		}
	}
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.wantConsent(Succeeded, oldURL, oldURL+"?code=1")
}

// Between the endpoint's answer and the write there must be no moment in which
// the callback is nobody's.
func TestConsentBetweenAnswerAndWrite(t *testing.T) {
	w := newWorld(t).withChannel()
	w.hooks.granted = false
	w.hooks.beforeCommit = func() {
		w.hooks.beforeCommit = nil
		if !w.follow(w.lastAsked()) {
			t.Error("the link does not work in between")
		}
	}
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.wantConsent(Succeeded, oldURL, oldURL+"?code=1")
}

func TestConsentRefused(t *testing.T) {
	w := newWorld(t).withChannel()
	w.hooks.fail = errors.New("It answered 404.")
	err := w.put(subscriptionID, withURL(oldURL))
	w.wantError(err, resource.URLValidation, oldURL, "It answered 404.", "https://aka.ms/esvalidation")
	if strings.Contains(err.Error(), "code=1") {
		t.Errorf("the error shows the secret of the URL: %v", err)
	}
	if w.exists(subscriptionID) {
		t.Error("it was created")
	}
	w.hooks.fail = nil
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.hooks.fail = errors.New("no")
	w.wantError(w.put(subscriptionID, withURL(newURL)), resource.URLValidation)
	w.wantError(w.patch(subscriptionID, `{"labels":["x"]}`), resource.URLValidation)
	w.wantConsent(Succeeded, oldURL, oldURL+"?code=1")
}

func TestEventsGoToTheOldEndpointUntilTheNewOneConsents(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.hooks.granted = false
	w.must(w.patch(subscriptionID, `{"destination":{"endpointType":"WebHook","properties":{"endpointUrl":"`+newURL+`"}}}`))
	first := w.lastAsked()
	w.wantConsent(AwaitingManualAction, newURL, oldURL+"?code=1")
	w.must(w.patch(subscriptionID, `{"labels":["x"]}`)) // asks again; the former link is void
	if w.follow(first) {
		t.Error("the former link works")
	}
	w.wantConsent(AwaitingManualAction, newURL, oldURL+"?code=1")
	if !w.follow(w.lastAsked()) {
		t.Error("the link does not work")
	}
	w.wantConsent(Succeeded, newURL, newURL)
}

// Consent is for the URL that was asked. When another request has changed it
// meanwhile, the new one must not inherit the consent.
func TestConsentIsForTheURLThatWasAsked(t *testing.T) {
	w := newWorld(t).withChannel()
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.hooks.during = func(Handshake) { // this one's answer takes so long that another request comes and goes
		w.hooks.during = nil
		w.hooks.granted = false
		w.must(w.put(subscriptionID, withURL(newURL)))
		w.hooks.granted = true
	}
	w.wantError(w.patch(subscriptionID, `{"labels":["x"]}`), resource.Conflict, "'es1'", "meanwhile")
	w.wantConsent(AwaitingManualAction, newURL, oldURL+"?code=1")
}

func TestConsentThatDoesNotCome(t *testing.T) {
	for name, c := range map[string]struct {
		update    bool
		validated string
	}{"creating": {false, ""}, "updating": {true, oldURL + "?code=1"}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).withChannel()
			if c.update {
				w.must(w.put(subscriptionID, withURL(oldURL)))
			}
			w.hooks.granted = false
			w.must(w.put(subscriptionID, withURL(newURL)))
			deadline := w.rules.Due(w.get(subscriptionID))
			if want := w.now.Add(validationWindow); !deadline.Equal(want) {
				t.Errorf("due %v, want %v", deadline, want)
			}
			w.now = deadline.Add(-time.Second)
			w.expire(subscriptionID)
			w.wantConsent(AwaitingManualAction, newURL, c.validated)
			w.now = deadline
			w.expire(subscriptionID)
			w.wantConsent(Failed, newURL, c.validated)
			if w.follow(w.lastAsked()) {
				t.Error("the link works after its time")
			}
			if at := w.rules.Due(w.get(subscriptionID)); !at.IsZero() {
				t.Errorf("due again at %v", at)
			}
			w.hooks.granted = true
			w.must(w.patch(subscriptionID, `{}`))
			w.wantConsent(Succeeded, newURL, newURL+"?code=1")
		})
	}
}

func TestTheLinkIsVoidAfterItsTimeEvenBeforeAnybodyNoticed(t *testing.T) {
	w := newWorld(t).withChannel()
	w.hooks.granted = false
	w.must(w.put(subscriptionID, withURL(oldURL)))
	w.now = w.now.Add(validationWindow + time.Second)
	if w.follow(w.lastAsked()) {
		t.Error("the link works")
	}
}

func TestNoConsentRequestIsLeftBehind(t *testing.T) {
	w := newWorld(t).withChannel()
	for _, granted := range []bool{true, false} {
		w.hooks.granted = granted
		w.must(w.put(subscriptionID, withURL(oldURL)))
	}
	w.hooks.fail = errors.New("no")
	w.wantError(w.put(subscriptionID, withURL(oldURL)), resource.URLValidation)
	w.hooks.fail = nil
	w.hooks.during = func(Handshake) { w.all.Delete(topicID) } // so that the write fails
	w.wantError(w.put(subscriptionID, withURL(oldURL)), resource.ParentNotFound)
	if n := len(w.rules.Validations.open); n != 0 {
		t.Errorf("%d requests are remembered for ever", n)
	}
}

func TestUnreadablePendingConsent(t *testing.T) {
	w := newWorld(t).withSubscription()
	r := w.get(subscriptionID).Clone()
	r.Secret(secretValidation, "{")
	r.Properties = json.RawMessage(strings.Replace(string(r.Properties), Succeeded, AwaitingManualAction, 1))
	w.all.Put(r)
	if at := w.rules.Due(r); !at.IsZero() {
		t.Errorf("due %v", at)
	}
	if w.follow(Handshake{SubscriptionID: subscriptionID.String()}) {
		t.Error("confirmed")
	}
}
