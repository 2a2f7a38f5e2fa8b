package registry

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http/httptrace"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Secrets are what must not be printed: passwords and tokens that go to
// registries, in any form in which one may send them back.
type Secrets struct {
	mu    sync.Mutex
	forms map[string]bool
}

// struck stands where a secret was.
const struck = "[struck out]"

// Trace makes s learn what is sent in the Authorization header of requests
// under ctx, whoever makes them: the tokens that a client was given are known
// nowhere else.
func (s *Secrets) Trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaderField: func(key string, values []string) {
		if !strings.EqualFold(key, "Authorization") && !strings.EqualFold(key, "Proxy-Authorization") {
			return
		}
		for _, v := range values {
			scheme, credentials, ok := strings.Cut(v, " ")
			switch {
			case !ok:
				s.Learn(v)
			case strings.EqualFold(scheme, "Basic"):
				s.learnBasic(credentials)
			default:
				s.Learn(credentials)
			}
		}
	}})
}

// learnBasic learns user:password in base64, and what that stands for.
func (s *Secrets) learnBasic(credentials string) {
	s.Learn(credentials)
	if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil {
		s.learnPair(string(plain))
	}
}

// LearnFrom makes s learn what options and the auth files hold. Files that
// cannot be read are somebody else's to tell.
func (s *Secrets) LearnFrom(o Options) {
	if o.Creds != "" {
		s.learnPair(o.Creds)
	}
	for _, path := range o.AuthFiles() {
		var file struct {
			Auths map[string]struct{ Auth, IdentityToken string }
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxAuthFile {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(data, &file) != nil {
			continue
		}
		for _, a := range file.Auths {
			s.Learn(a.IdentityToken)
			s.learnBasic(a.Auth)
		}
	}
}

// learnPair learns user:password, and the password alone.
func (s *Secrets) learnPair(pair string) {
	s.Learn(pair)
	if _, password, ok := strings.Cut(pair, ":"); ok {
		s.Learn(password)
	}
}

// shortest secret that is looked for: less would strike out words.
const shortest = 4

// Learn adds a secret.
func (s *Secrets) Learn(secret string) {
	if len(secret) < shortest {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forms == nil {
		s.forms = map[string]bool{}
	}
	if s.forms[secret] {
		return
	}
	for _, form := range formsOf(secret) {
		s.forms[form] = true
	}
}

// formsOf lists how a text may be written.
func formsOf(text string) []string {
	quoted := strings.Trim(strconv.Quote(text), `"`)
	document, _ := json.Marshal(text) // of a string: never fails
	forms := []string{
		text, quoted, strings.Trim(strconv.Quote(quoted), `"`), strings.Trim(string(document), `"`),
		base64.StdEncoding.EncodeToString([]byte(text)), base64.RawStdEncoding.EncodeToString([]byte(text)),
		base64.URLEncoding.EncodeToString([]byte(text)), base64.RawURLEncoding.EncodeToString([]byte(text)),
		hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text))),
	}
	for _, form := range forms[:1:1] {
		for _, encode := range []func(string) string{url.QueryEscape, url.PathEscape, func(s string) string { return (&url.URL{Path: s}).EscapedPath() }} {
			once := encode(form)
			forms = append(forms, once, lowerPercent(once), encode(once))
		}
	}
	for _, form := range slices.Clone(forms[4:8]) { // base64 has + / and =
		forms = append(forms, url.QueryEscape(form), lowerPercent(url.QueryEscape(form)))
	}
	return forms
}

// lowerPercent writes %2F as %2f.
func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i:], strings.ToLower(s[i:i+3]))
		}
	}
	return string(b)
}

// Strike returns text without the secrets.
func (s *Secrets) Strike(text string) string {
	if s == nil {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The longest first: one that contains another goes whole.
	var forms []string
	for form := range s.forms {
		if strings.Contains(text, form) {
			forms = append(forms, form)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	for _, form := range forms {
		text = strings.ReplaceAll(text, form, struck)
	}
	return text
}
