package arm

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/intertie/intertie/access"
	"github.com/intertie/intertie/resource"
)

// Who may do what. A letter per role, in the order of roles; '+' is allowed.
func TestOperationsByRole(t *testing.T) {
	roles := []struct{ name, role string }{
		{"O", access.RoleOwner},
		{"C", access.RoleContributor},
		{"R", access.RoleReader},
		{"U", access.RoleUserAccessAdministrator},
		{"G", access.RoleEventGridContributor},
		{"S", access.RoleEventSubscriptionContributor},
		{"D", access.RoleEventGridDataSender},
		{"nobody", ""},
	}
	assignment := func(scope string) string {
		return scope + "/providers/Microsoft.Authorization/roleAssignments/99999999-aaaa-4bbb-8ccc-000000000009"
	}
	subs := "/subscriptions/" + customerSub
	f := newFixture(t).partnerFlow()
	whole := f.store.view()
	for _, c := range []struct {
		method, path, body string
		//         OCRUGSDn
		allowed string
	}{
		{"GET", subs, ``, "OCRUGSD"},
		{"GET", subs + "/locations", ``, "OCRU"},
		{"GET", subs + "/resourcegroups", ``, "OCRUGSD"},
		{"PUT", subs + "/resourcegroups/rg-new", `{"location":"x"}`, "OC"},
		{"GET", customerRG, ``, "OCRUGSD"},
		{"HEAD", customerRG, ``, "OCRUGSD"},
		{"PATCH", customerRG, `{}`, "OC"},
		{"GET", subs + "/providers", ``, "OCRU"},
		{"GET", subs + provider, ``, "OCRU"},
		{"POST", subs + provider + "/register", ``, "OCG"},
		{"GET", customerRG + provider + "/partnerTopics", ``, "OCRUG"},
		{"GET", topic, ``, "OCRUG"},
		{"PUT", topic, `{}`, "OCG"},
		{"PATCH", topic, `{}`, "OCG"},
		{"POST", topic + "/activate", ``, "OCG"},
		{"POST", topic + "/deactivate", ``, "OCG"},
		{"GET", config, ``, "OCRUG"},
		{"PUT", config, `{}`, "OCG"},
		{"POST", config + "/authorizePartner", `{"partnerName":"x"}`, "OCG"},
		{"POST", config + "/unauthorizePartner", `{"partnerName":"x"}`, "OCG"},
		// The wildcard of the subscription roles stands for eventSubscriptions of
		// the provider, not for those nested in a type.
		{"GET", eventSub, ``, "OCRUG"},
		{"PUT", eventSub, hookBody, "OCG"},
		{"PATCH", eventSub, `{}`, "OCG"},
		{"POST", eventSub + "/getFullUrl", ``, "OCG"}, // no Reader: it is a secret
		{"DELETE", eventSub, ``, "OCG"},
		{"GET", customerRG + "/providers/Microsoft.Authorization/roleDefinitions", ``, "OCRUGSD"},
		{"GET", customerRG + "/providers/Microsoft.Authorization/roleAssignments", ``, "OCRUGSD"},
		{"GET", assignment(customerRG), ``, "OCRUGSD"},
		{"PUT", assignment(customerRG), `{"properties":{"roleDefinitionId":"` + access.RoleReader + `","principalId":"PRINCIPAL"}}`, "OU"},
		{"DELETE", assignment(customerRG), ``, "OU"},
		{"PUT", "/providers/Microsoft.Subscription/aliases/x", `{"properties":{"displayName":"x"}}`, "OC"},
		{"DELETE", topic, ``, "OCG"},
		{"DELETE", config, ``, "OCG"},
		{"DELETE", customerRG, ``, "OC"},
	} {
		for _, role := range roles {
			f.store.replace(whole)
			who := role.name
			f.principal(who)
			if role.role != "" {
				f.role(who, role.role, "/")
			}
			body := strings.ReplaceAll(c.body, "PRINCIPAL", f.objects["owner"])
			a := f.do(who, c.method, c.path, body)
			allowed := a.status != 403
			if allowed != strings.Contains(c.allowed, role.name) {
				t.Errorf("%s %s as %s: %d %.200s", c.method, c.path, role.name, a.status, a.raw)
			}
			if !allowed && c.method != "HEAD" {
				a.wantError(403, "AuthorizationFailed", f.objects[who], "app-of-"+who, "action '", "over scope '/")
			}
		}
	}
}

// A role reaches what lies below its scope and nothing else.
func TestScopesOfRoles(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.put("owner", customerRG+"-2", `{"location":"westeurope"}`).want(201)
	for name, scope := range map[string]string{"of the topic": topic, "of the group": customerRG, "of the subscription": "/subscriptions/" + customerSub, "of the partner": partnerRG} {
		f.role(name, access.RoleContributor, scope)
	}
	for _, c := range []struct {
		who, path string
		want      int
	}{
		{"of the topic", topic, 200},
		{"of the topic", eventSub, 200},
		{"of the topic", config, 403},
		{"of the topic", customerRG, 403},
		{"of the group", topic, 200},
		{"of the group", customerRG + "-2", 403}, // the name begins the same
		{"of the subscription", customerRG + "-2", 200},
		{"of the subscription", namespace, 403},
		{"of the partner", namespace, 200},
		{"of the partner", channel, 200},
		{"of the partner", topic, 403},
		{"of the partner", "/subscriptions/" + customerSub, 403},
	} {
		f.get(c.who, c.path).want(c.want)
	}
	// The partner's channel reaches the customer's side by the customer's grant,
	// not by a role.
	f.put("of the partner", namespace+"/channels/ch2", channelBody("pt2")).want(200)
	f.get("of the partner", customerRG+provider+"/partnerTopics/pt2").want(403)
	// Neither may delete what belongs to the other.
	f.delete("of the partner", topic).want(403)
	f.delete("of the group", channel).want(403)
}

// To a stranger everything looks the same, there or not.
func TestRefusalTellsNothing(t *testing.T) {
	f := newFixture(t).partnerFlow()
	f.principal("stranger")
	for there, missing := range map[string]string{
		topic:                           strings.Replace(topic, "pt1", "pt9", 1),
		eventSub:                        strings.Replace(eventSub, "es1", "es9", 1),
		customerRG:                      strings.Replace(customerRG, "rg-c", "rg-9", 1),
		"/subscriptions/" + customerSub: "/subscriptions/" + noSub,
		config + "/authorizePartner":    strings.Replace(config, customerSub, noSub, 1) + "/authorizePartner",
		topic + "/eventSubscriptions":   strings.Replace(topic, customerSub, noSub, 1) + "/eventSubscriptions",
	} {
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "POST", "HEAD"} {
			a, b := f.do("stranger", method, there, `{}`), f.do("stranger", method, missing, `{}`)
			same := strings.NewReplacer(there, "X", missing, "X", strings.TrimSuffix(there, "/authorizePartner"), "X", strings.TrimSuffix(missing, "/authorizePartner"), "X",
				strings.TrimSuffix(there, "/eventSubscriptions"), "X", strings.TrimSuffix(missing, "/eventSubscriptions"), "X")
			if a.status != b.status || a.status < 400 || same.Replace(a.raw) != same.Replace(b.raw) {
				t.Errorf("%s: %d %s\nbut %d %s", a.what, a.status, a.raw, b.status, b.raw)
			}
		}
	}
}

func TestTokens(t *testing.T) {
	f := newFixture(t)
	good := f.token("owner", "https://management.azure.com/")
	expired := func() string {
		f.now = f.now.Add(-2 * time.Hour)
		defer func() { f.now = f.now.Add(2 * time.Hour) }()
		return f.token("owner", "https://management.azure.com/")
	}()
	for name, c := range map[string]struct {
		header string
		code   resource.Code
	}{
		"missing":         {"", resource.AuthenticationFailed},
		"no scheme":       {good, resource.AuthenticationFailed},
		"basic":           {"Basic dTpw", resource.AuthenticationFailed},
		"empty":           {"Bearer ", resource.InvalidToken},
		"garbage":         {"Bearer garbage", resource.InvalidToken},
		"changed":         {"Bearer " + good[:len(good)-6] + "AAAAAA", resource.InvalidToken},
		"expired":         {"Bearer " + expired, resource.ExpiredToken},
		"other audience":  {"Bearer " + f.token("owner", "https://eventgrid.azure.net"), resource.InvalidToken},
		"graph audience":  {"Bearer " + f.token("owner", base+"/graph"), resource.InvalidToken},
		"unsigned":        {"Bearer eyJhbGciOiJub25lIn0.eyJvaWQiOiJ4In0.", resource.InvalidToken},
		"quotes in token": {`Bearer a"b\c`, resource.InvalidToken},
	} {
		r := httptest.NewRequest(http.MethodGet, base+"/subscriptions?api-version="+version, nil)
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		a := f.send(r).wantError(401, c.code)
		challenge := a.header.Get("Www-Authenticate")
		if !strings.HasPrefix(challenge, `Bearer authorization_uri="`+base+"/"+tenant+`", error="invalid_token", error_description="`) || strings.Count(challenge, `"`) != 6 {
			t.Errorf("%s: challenge %s", name, challenge)
		}
		if a.header.Get("X-Ms-Failure-Cause") != "gateway" || strings.Contains(a.raw, good[:40]) {
			t.Errorf("%s: %v %s", name, a.header, a.raw)
		}
	}
	for _, audience := range []string{"https://management.azure.com", "https://management.azure.com//", "https://management.core.windows.net/", base, base + "/", "https://fallback.example"} {
		r := httptest.NewRequest(http.MethodGet, base+"/subscriptions?api-version="+version, nil)
		r.Header.Set("Authorization", "bEaReR "+f.token("owner", audience))
		f.send(r).want(200)
	}
}

func TestEveryPathButTwoNeedsAToken(t *testing.T) {
	f := newFixture(t).partnerFlow()
	for _, path := range []string{"/subscriptions", "/tenants", "/providers", topic, "/nonsense", "/eventsubscriptions/x", "/metadata", "/metadata/endpoints/x"} {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "TRACE", "PATCH"} {
			if a := f.do("", method, path, "{}"); a.status != 401 {
				t.Errorf("%s: %d", fmt.Sprint(method, " ", path), a.status)
			}
		}
	}
}
