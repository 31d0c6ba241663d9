"""Personal data. The numbers are the examples of python-stdnum's and of the publishers' own documents, not people's."""

from __future__ import annotations

import pytest

from cervella.privacy.personal import find_personal

VALID = [
    ("it", "tax_code", "Codice fiscale: {}", "RCCMNL83S18D969H"),
    ("it", "tax_code", "il codice di Chiara, {}, è nel fascicolo", "CNTCHR83T41D969D"),
    ("it", "tax_code", "cf {}", "rcc mnl 83s18 d969h"),
    ("it", "tax_code", "omocodia: {}", "RCCMNL83S18D96VW"),
    ("en", "tax_code", "His Italian code is {}.", "RCCMNL83S18D969H"),
    ("it", "iban", "IBAN {}", "IT 60 X 05428 11101 000000123456"),
    ("es", "identity_document", "DNI {}", "12345678Z"),
    ("es", "identity_document", "el documento es el DNI {}", "30.123.456"),
    ("it", "identity_document", "C.I. {}", "AX1234567"),
    ("de", "tax_code", "Steuernummer {}", "181/815/08155"),
    ("it", "tax_code", "C.F.{}", "RCCMNL83S18D969H"),
    ("it", "tax_code", "_{}_ e **così**", "RCCMNL83S18D969H"),
    ("it", "tax_code", "| Mario |{}|", "RCCMNL83S18D969H"),
    ("it", "phone", "_{}_", "340 1234567"),
    ("it", "phone", "**{}**", "+39 340 1234567"),
    ("it", "mail", "scrivi a {}", "mario\\_rossi@example.com"),
    ("it", "mail", "_{}_", "rossi@example.com"),
    ("it", "iban", "Bonifico su {} entro venerdì", "IT60X0542811101000000123456"),
    ("it", "iban", "| Banca | {} |", "IT60 X054 2811 1010 0000 0123 456"),
    ("it", "iban", "iban={}", "gb82 west 1234 5698 7654 32"),
    ("de", "iban", "Konto {}, Sparkasse", "DE89 3704 0044 0532 0130 00"),
    ("es", "iban", "la cuenta {}", "ES91-2100-0418-4502-0005-1332"),
    ("pt", "iban", "conta {}", "PT50 0002 0123 1234 5678 9015 4"),
    ("pt", "iban", "conta {}", "BR1800360305000010009795493C1"),
    ("it", "identity_document", "Carta d'identità n. {} di Mario", "AX1234567"),
    ("it", "identity_document", "la CIE {} scade a marzo", "CA00000AA"),
    ("it", "identity_document", "passaporto: {}", "YA1234567"),
    ("it", "identity_document", "patente {}", "U1A1234567"),
    ("it", "identity_document", "| Nome | Documento |\n|---|---|\n| Mario | {} |", "AX 1234567"),
    ("de", "identity_document", "Personalausweis-Nr. {}", "L01X00T471"),
    ("es", "identity_document", "El DNI es {}", "54362315K"),
    ("es", "identity_document", "con el documento {}", "54362315-K"),
    ("es", "identity_document", "residente {}", "X-2482300W"),
    ("it", "identity_document", "il suo DNI spagnolo: {}", "54.362.315-K"),
    ("pt", "identity_document", "Cartão de Cidadão {}", "00000000 0 ZZ4"),
    ("pt", "tax_code", "CPF {}", "390.533.447-05"),
    ("pt", "tax_code", "o número dele, {}, está certo", "39053344705"),
    ("it", "tax_code", "in Brasile ha il {}", "390.533.447-05"),
    ("pt", "tax_code", "NIF: {}", "123456789"),
    ("de", "tax_code", "Steuer-ID {}", "36 574 261 809"),
    ("de", "tax_code", "Seine Nummer ist {}.", "36574261809"),
    ("de", "social_security", "AHV {}", "756.9217.0769.85"),
    ("de", "social_security", "SVNR {}", "1237 010180"),
    ("en", "social_security", "SSN {}", "536-90-4399"),
    ("en", "social_security", "National Insurance {}", "AB 12 34 56 C"),
    ("en", "social_security", "NHS number {}", "943 476 5870"),
    ("en", "social_security", "PPS {}", "6433435F"),
    ("es", "tax_code", "CURP {}", "BOXW310820HNERXN09"),
    ("es", "tax_code", "CUIT {}", "20-05536168-2"),
    ("it", "mail", "scrivi a {}.", "mario.rossi+casa@example.com"),
    ("it", "mail", "[scrivi](mailto:{})", "anna@posta.example.it"),
    ("it", "mail", "<{}>", "o'neill@example.co.uk"),
    ("it", "mail", "posta: {}", "perché@università.it"),
    ("it", "mail", "scrivi a {} oggi", "mario.rossi [at] example.com"),
    ("it", "mail", "scrivi a {} oggi", "mario.rossi(chiocciola)example(punto)com"),
    ("it", "phone", "chiama {} oggi", "340 1234567"),
    ("it", "phone", "Mario {}", "340 123 4567"),
    ("it", "phone", "Mario, {}, arriva domani", "+39 340 1234567"),
    ("it", "phone", "Mario: {}", "0039 340 1234567"),
    ("it", "phone", "Mario {}", "(+39) 340-1234567"),
    ("it", "phone", "Mario {}", "3401234567"),
    ("it", "phone", "Ufficio {}", "06 6988 4857"),
    ("it", "phone", "Ufficio {}", "055/2768224"),
    ("it", "phone", "tel.{}", "0552768224"),
    ("it", "phone", "| Nome | Tel. |\n|---|---|\n| Anna | {} |", "055276822"),
    ("it", "phone", "Fattura di Mario Rossi, {}", "340 1234567"),
    ("it", "phone", "- Ottavio (preventivo zanzariere) {}", "343/5683230"),
    ("es", "phone", "Fijo de Nuria: {}", "938.51.66.33"),
    ("it", "phone", "wa.me/{}", "393401234567"),
    ("it", "phone", "da Londra: {}", "+44 20 7946 0018"),
    ("pt", "phone", "a Ana ({})", "912 345 678"),
    ("pt", "phone", "a Ana é {}", "(11) 96123-4567"),
    ("pt", "phone", "a Ana é {}", "+55 11 96123-4567"),
    ("es", "phone", "Ana: {}", "612 34 56 78"),
    ("es", "phone", "llama al {}", "912345678"),
    ("de", "phone", "Anna: {}", "0171 3920055"),
    ("de", "phone", "Büro {}", "030/23125000"),
    ("en", "phone", "call {}", "020 7946 0018"),
    ("en", "phone", "Anna, {}", "(202) 555-0143"),
    # Over two lines, and in the spellings of a cell or of another keyboard
    ("it", "iban", "IBAN: {}", "IT60 X054 2811 1010\n0000 0123 456"),
    ("it", "iban", "> Bonifico su {}\n> entro venerdì", "IT60X05428111010\n> 00000123456"),
    ("de", "iban", "Konto {}", "DE89 3704 0044<br>0532 0130 00"),
    ("it", "iban", "Conto: {}.", "IT60  X054  2811  1010  0000  0123  456"),
    ("it", "phone", "| Anna | {} |", "340<br>1234567"),
    ("it", "phone", "| Anna | {} |", "055<br/>2768224"),
    ("it", "phone", "| Anna | {} |", "340&nbsp;1234567"),
    ("it", "phone", "cell. {} Anna", "340\n1234567"),
    ("it", "phone", "tel. {}", "055; 2768224"),
    ("it", "phone", "Anna: {}", "+39 340\n1234567"),
    ("it", "iban", "IBAN {}", "IT60-X054-2811-1010-\n0000-0123-456"),
    ("es", "phone", "> Teléfono: {}", "612 34\n> 56 78"),
    ("it", "mail", "scrivi a {} oggi", "anna @ example.com"),
    ("it", "mail", "scrivi a {} oggi", "anna@ posta.example.com"),
    ("it", "mail", "scrivi a {} oggi", "anna @example.com"),
    ("it", "mail", "scrivi a {} oggi", "anna＠example.com"),
    ("it", "mail", "scrivi a {} oggi", "anna&#64;example.com"),
    ("it", "mail", "scrivi a {} oggi", "anna ＠ example．com"),
    # Beside the words of an ordinary figure
    ("it", "phone", "Polizza di Mario Rossi, {}", "340 1234567"),
    ("it", "phone", "Anna {} ore pasti", "340 1234567"),
    ("it", "phone", "il numero del cliente Rossi è: telefono {}", "340 1234567"),
    ("it", "phone", "Anna {} documenti firmati", "340 1234567"),
    ("it", "phone", "Anna {} visita lunedì", "3401234567"),
    ("it", "phone", "Rossi {} persone: 4", "3401234567"),
]


@pytest.mark.parametrize(("code", "kind", "sentence", "value"), VALID, ids=[f"{one[0]}-{one[3]}" for one in VALID])
def test_a_valid_number_is_found_whole_and_nothing_beside_it(code: str, kind: str, sentence: str, value: str) -> None:
    text = sentence.format(value)
    found = find_personal(text, code)
    assert [(one.kind, text[one.start : one.end]) for one in found] == [(kind, value)]


ORDINARY = [
    # Check characters that do not fit
    *(("it", text) for text in ("codice fiscale RCCMNL83S18D969A", "IBAN IT61X0542811101000000123456")),
    *(("pt", text) for text in ("CPF 390.533.447-06", "NIF 123456780")),
    *(("es", text) for text in ("DNI 54362315A", "NIE X-2482300A")),
    ("de", "Steuer-ID 36 574 261 890"),
    ("en", "SSN 078-05-1120"),
    # Figures of every day
    ("it", "Il 09/01/2026 alle 10:30 in camera 301, piano 2, costa 1.234.567,89 € (iva 22%)."),
    ("it", "Dal 2026-01-09 al 2026-01-12, 20260109_rinvio.md, versione 3.12.4, righe 12-19."),
    ("it", "Ordine 3401234567, fattura n. 0552768224, protocollo 2026/0012345, cod. 8001234567890"),
    ("it", "| Ordine | Totale |\n|---|---|\n| 3401234567 | 12.500,00 |"),
    ("it", "P.IVA 00743110157, REA 1234567, CAP 50123, POD IT001E12345678"),
    ("it", "La popolazione è di 58.990.123 abitanti e 3.401.234.567 euro di debito"),
    ("it", "340.123.456 € di ricavi, 3401234567 EUR, $ 3401234567"),
    ("it", "IP 192.168.100.200, porta 8080, sha 3f786850e387550fdab836ed7e6dc881de23001b, ISBN 978-88-04-68451-9"),
    ("it", "https://example.com/ordini/3401234567?id=0552768224"),
    ("it", "pi = 3.1415926535, lat 43.7695604, lon 11.2558136, 0.6988485712"),
    ("it", "codice AB12345CD, articolo AX1234567, targa FX123ZZ, volo AZ1234"),
    ("it", "@mario ha scritto; npm i react@18.2.0; git@v2; 5 @ 3 euro; A@B"),
    ("it", "1 2 3 4 5 6 7 8 9 10 11 12 13; 10 20 30 40 50 60 70"),
    ("pt", "encomenda 212345678, CNPJ 16.727.230/0001-97, R$ 912.345.678,00, NIPC 501964843"),
    ("es", "pedido 612345678, CIF J99216582, 912.345.678 habitantes"),
    ("en", "order 2125550143, invoice #07700900123, 1,234,567,890 users, 2026-11-30T12:00:31"),
    ("de", "Bestellung 01713920055, Rechnung 2026-0171-3920, 1.234.567.890 Euro"),
    ("it", "timestamp 1767945600, 1767945600000, id 550e8400-e29b-41d4-a716-446655440000"),
    ("es", "La política 1531-46 (1983), 22.000-14.000 años, K-9 (2009-2010)"),
    ("it", "SSH_HOST=35.123.45.67; logica\n@router.get('/x'); git@github.com:acme/base.git"),
    ("it", "Ordini n. 3401234567, 3409876543 e 3391112223; codice cliente: 3401234567"),
    ("it", "Nel documento costano 1.234.567 euro; documento 20260109; ci sono 12345678 righe; run 12345678-5"),
    ("it", "Il codice fiscale dell'hotel è 00743110157, team 123 456 789, sin 130 692 544"),
    # A figure with its unit, or with what it counts
    ("it", "347 765 432 abitanti, 3 401 234 567 byte, 3331234567 passi e 3401234567 nuove visualizzazioni"),
    ("it", "Il file ha 347 765 432 B, cioè 347 765 432 KiB, in 3401234567 ms; 347 765 432 m², 347 765 432 kWh"),
    ("en", "2125550143 downloads, 212 555 014 people, 2125550143 bytes, 2 125 550 143 tokens"),
    ("es", "612 345 678 habitantes, 612345678 pasos, 612 345 678 reproducciones"),
    ("pt", "912 345 678 habitantes, 912345678 passos, 912 345 678 visualizações"),
    ("de", "341 234 567 Einwohner, 1 713 920 055 Schritte, 36574261809 Aufrufe"),
    # The number of a contract, a policy, a customer
    ("it", "Polizza 3312345678, polizza n. 331 234 5678, numero cliente 3312345678, n. cliente: 331 2345678"),
    ("it", "Polizza auto Generali n. 3312345678, contratto di fornitura nr. 331 2345678, conto corrente n. 3312345678"),
    ("it", "| Numero cliente | Polizza |\n|---|---|\n| 3312345678 | 331 234 5679 |"),
    ("it", "Contratto 3312345678, contratto n. 331 234 5678, sinistro 3312345678, tessera n. 3312345678"),
    ("en", "policy 2125550143, customer number 2125550143, contract no. 212 555 0143, membership number 2125550143"),
    ("es", "póliza 612345678, número de cliente: 612 345 678, contrato n.º 612345678"),
    ("pt", "apólice 912345678, número de cliente 912 345 678, contrato 912345678"),
    ("de", "Vertrag 01713920055, Kundennummer 0171 3920055, Versicherungsschein 0171 3920055, Police 01713920055"),
    # An `@` in the name of a file, of a package, in code
    ("it", "Rosa@2x.png, logo@3x.webp, icona@mini.svg, foto@casa.jpeg, ![a](img/Rosa@2x.png)"),
    ("it", "y = x @ self.weight\nz = a @ b.T\ngrazie @mario, vedi @types/node e\n@router.get, 5 @ 3.50 euro"),
    ("it", "RTX 4090, 24 GB, 16.384 core, 2.520 MHz, 450 W, prezzo 1.599"),
]


@pytest.mark.parametrize(("code", "text"), ORDINARY, ids=[text[:40] for _, text in ORDINARY])
def test_an_ordinary_figure_is_no_personal_datum(code: str, text: str) -> None:
    assert [text[one.start : one.end] for one in find_personal(text, code)] == []


def test_several_numbers_in_a_row_are_several() -> None:
    text = "Tel. 055 2768224 / 055 2768225, cell. 340 1234567 347 7654321 - 333 1112223"
    assert [text[one.start : one.end] for one in find_personal(text, "it")] == [
        "055 2768224",
        "055 2768225",
        "340 1234567",
        "347 7654321",
        "333 1112223",
    ]


def test_invisible_characters_hide_nothing() -> None:
    text = "Mario: +39 340\u200b 123\u200d4567!"
    [found] = find_personal(text, "it")
    assert text[found.start : found.end] == "+39 340\u200b 123\u200d4567"


@pytest.mark.parametrize(
    "piece",
    ["a", "@", "1", "1 ", "+", "IT60X", "(", "|", "[at]", "a@b.", "tel", "C.F.", "- ", "<br>", "340\n", "tel 3;"],
)
def test_a_hostile_text_has_a_bounded_number_of_checks(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import phonenumbers

    calls = 0
    parse = phonenumbers.parse

    def counted(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        return parse(*arguments, **options)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    find_personal(piece * 3_000, "it")
    assert calls <= 4_000


def test_nothing_is_loaded_before_a_text_is_masked() -> None:
    import subprocess
    import sys

    code = "import sys, cervella.privacy.personal; print({'stdnum', 'phonenumbers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
