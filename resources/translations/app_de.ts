<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de_DE" sourcelanguage="en">
    <context>
        <name />
        <message numerus="yes">
            <source>%n attached file(s)</source>
            <translation>
                <numerusform>%n angehängte Datei</numerusform>
                <numerusform>%n angehängte Dateien</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s)</source>
            <translation>
                <numerusform>%n Unterhaltung</numerusform>
                <numerusform>%n Unterhaltungen</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) found</source>
            <translation>
                <numerusform>%n Unterhaltung gefunden</numerusform>
                <numerusform>%n Unterhaltungen gefunden</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) were deleted.</source>
            <translation>
                <numerusform>%n Unterhaltung wurde gelöscht.</numerusform>
                <numerusform>%n Unterhaltungen wurden gelöscht.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) with {messages} imported from {program}.</source>
            <translation>
                <numerusform>%n Unterhaltung mit {messages} aus {program} importiert.</numerusform>
                <numerusform>%n Unterhaltungen mit {messages} aus {program} importiert.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) written to {file} ({size}).</source>
            <translation>
                <numerusform>%n Unterhaltung nach {file} geschrieben ({size}).</numerusform>
                <numerusform>%n Unterhaltungen nach {file} geschrieben ({size}).</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n could not be read:</source>
            <translation>
                <numerusform>%n ließ sich nicht lesen:</numerusform>
                <numerusform>%n ließen sich nicht lesen:</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n found so far</source>
            <translation>
                <numerusform>bisher %n gefunden</numerusform>
                <numerusform>bisher %n gefunden</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n message(s)</source>
            <translation>
                <numerusform>%n Nachricht</numerusform>
                <numerusform>%n Nachrichten</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n message(s) in all their branches</source>
            <translation>
                <numerusform>%n Nachricht in allen ihren Zweigen</numerusform>
                <numerusform>%n Nachrichten in allen ihren Zweigen</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n picture(s) and files cannot be imported; they are named in their place.</source>
            <translation>
                <numerusform>%n Bild oder Datei lässt sich nicht importieren; an der Stelle steht der Name.</numerusform>
                <numerusform>%n Bilder und Dateien lassen sich nicht importieren; an ihrer Stelle stehen die Namen.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n that were imported before or come from here were left out.</source>
            <translation>
                <numerusform>%n wurde ausgelassen, weil schon importiert oder von hier.</numerusform>
                <numerusform>%n wurden ausgelassen, weil schon importiert oder von hier.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n under way</source>
            <translation>
                <numerusform>%n in Arbeit</numerusform>
                <numerusform>%n in Arbeit</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n waiting.</source>
            <translation>
                <numerusform>%n wartet.</numerusform>
                <numerusform>%n warten.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n without messages were left out.</source>
            <translation>
                <numerusform>%n ohne Nachrichten wurde ausgelassen.</numerusform>
                <numerusform>%n ohne Nachrichten wurden ausgelassen.</numerusform>
            </translation>
        </message>
        <message>
            <source>(no answer)</source>
            <translation>(keine Antwort)</translation>
        </message>
        <message>
            <source>0 always takes the most likely word; higher is more varied.</source>
            <translation>Bei 0 wird immer das wahrscheinlichste Wort genommen; je höher, desto abwechslungsreicher.</translation>
        </message>
        <message>
            <source>1.85 bits</source>
            <translation>1,85 Bit</translation>
        </message>
        <message>
            <source>16 bits</source>
            <translation>16 Bit</translation>
        </message>
        <message>
            <source>2.25 bits</source>
            <translation>2,25 Bit</translation>
        </message>
        <message>
            <source>3 bits (keys 4, values 2)</source>
            <translation>3 Bit (Schlüssel 4, Werte 2)</translation>
        </message>
        <message>
            <source>3.45 bits</source>
            <translation>3,45 Bit</translation>
        </message>
        <message>
            <source>4 bits</source>
            <translation>4 Bit</translation>
        </message>
        <message>
            <source>4-bit integers</source>
            <translation>4-Bit-Ganzzahlen</translation>
        </message>
        <message>
            <source>4.25 bits</source>
            <translation>4,25 Bit</translation>
        </message>
        <message>
            <source>5.5 bits</source>
            <translation>5,5 Bit</translation>
        </message>
        <message>
            <source>8 bits</source>
            <translation>8 Bit</translation>
        </message>
        <message>
            <source>8.25 bits</source>
            <translation>8,25 Bit</translation>
        </message>
        <message>
            <source>A GGUF file</source>
            <translation>Eine GGUF-Datei</translation>
        </message>
        <message>
            <source>A GGUF file…</source>
            <translation>Eine GGUF-Datei …</translation>
        </message>
        <message>
            <source>A context is a number of tokens, and goes with the memory of a card.</source>
            <translation>Ein Kontext ist eine Anzahl Token und gehört zum Speicher einer Grafikkarte.</translation>
        </message>
        <message>
            <source>A folder in Hugging Face layout…</source>
            <translation>Ein Ordner im Aufbau von Hugging Face …</translation>
        </message>
        <message>
            <source>A folder with config.json and safetensors files</source>
            <translation>Ein Ordner mit config.json und safetensors-Dateien</translation>
        </message>
        <message>
            <source>A full-screen program runs: conversions wait, and idle models have left memory.</source>
            <translation>Ein Vollbildprogramm läuft: Das Ternarisieren wartet, und unbenutzte Modelle haben den Speicher geräumt.</translation>
        </message>
        <message>
            <source>A message of the system when a conversion is done, or has failed, while the window is not in front.</source>
            <translation>Eine Meldung des Systems, wenn ein Modell fertig ternarisiert oder es fehlgeschlagen ist, während das Fenster nicht vorn ist.</translation>
        </message>
        <message>
            <source>A model is downloaded once, ternarised, and then answers on this machine, with no network.</source>
            <translation>Ein Modell wird einmal heruntergeladen, ternarisiert und antwortet dann auf diesem Rechner, ganz ohne Netz.</translation>
        </message>
        <message>
            <source>A model is on its way. You can watch it in the library.</source>
            <translation>Ein Modell ist unterwegs. In der Bibliothek kannst du zusehen.</translation>
        </message>
        <message>
            <source>A name or a folder is missing.</source>
            <translation>Ein Name oder ein Ordner fehlt.</translation>
        </message>
        <message>
            <source>A new chat</source>
            <translation>Eine neue Unterhaltung</translation>
        </message>
        <message>
            <source>API, OpenAI, endpoint</source>
            <translation>API, OpenAI, Schnittstelle, Endpunkt</translation>
        </message>
        <message>
            <source>About Ternary-Zero</source>
            <translation>Über Ternary-Zero</translation>
        </message>
        <message>
            <source>About {duration}</source>
            <translation>Etwa {duration}</translation>
        </message>
        <message>
            <source>About {duration} to prepare on this machine, after the download.</source>
            <translation>Etwa {duration}, um es auf diesem Rechner vorzubereiten, nach dem Herunterladen.</translation>
        </message>
        <message>
            <source>Accept the licence on the model's page at huggingface.co and enter your access token in the settings, then try again.</source>
            <translation>Nimm die Lizenz auf der Seite des Modells bei huggingface.co an, trage dein Zugriffstoken in den Einstellungen ein und versuche es noch einmal.</translation>
        </message>
        <message>
            <source>Add a folder</source>
            <translation>Ordner hinzufügen</translation>
        </message>
        <message>
            <source>Add a folder…</source>
            <translation>Ordner hinzufügen …</translation>
        </message>
        <message>
            <source>Address</source>
            <translation>Adresse</translation>
        </message>
        <message>
            <source>Address of a mirror of the Hugging Face Hub. Empty: https://huggingface.co.</source>
            <translation>Adresse eines Spiegels des Hugging Face Hub. Leer: https://huggingface.co.</translation>
        </message>
        <message>
            <source>Address of the proxy</source>
            <translation>Adresse des Proxys</translation>
        </message>
        <message>
            <source>Address of the server</source>
            <translation>Adresse des Servers</translation>
        </message>
        <message>
            <source>Advanced</source>
            <translation>Erweitert</translation>
        </message>
        <message>
            <source>All</source>
            <translation>Alle</translation>
        </message>
        <message>
            <source>All branches, attachments and settings, in one file that this program reads again.</source>
            <translation>Alle Zweige, Anhänge und Einstellungen in einer Datei, die dieses Programm wieder liest.</translation>
        </message>
        <message>
            <source>All is computed here. Only what you search for or fetch goes out, and every request is listed.</source>
            <translation>Alles wird hier berechnet. Nur was du suchst oder holst, geht hinaus, und jede Anfrage ist aufgeführt.</translation>
        </message>
        <message>
            <source>All jobs</source>
            <translation>Alle Aufträge</translation>
        </message>
        <message>
            <source>All jobs ({count})</source>
            <translation>Alle Aufträge ({count})</translation>
        </message>
        <message>
            <source>Also delete the original that it was made from</source>
            <translation>Auch das Original löschen, aus dem es gemacht wurde</translation>
        </message>
        <message>
            <source>Also delete the original that it was made from ({size})</source>
            <translation>Auch das Original löschen, aus dem es gemacht wurde ({size})</translation>
        </message>
        <message>
            <source>An answer is being written.</source>
            <translation>Eine Antwort wird geschrieben.</translation>
        </message>
        <message>
            <source>An answer that reaches it stops there and says so.</source>
            <translation>Eine Antwort, die so lang wird, endet dort und sagt es.</translation>
        </message>
        <message>
            <source>Another hub</source>
            <translation>Anderer Hub</translation>
        </message>
        <message>
            <source>Another window works on the queue in {path}: close it first.</source>
            <translation>Ein anderes Fenster arbeitet an der Warteschlange in {path}: Schließe es zuerst.</translation>
        </message>
        <message>
            <source>Answer of {name}: {text}</source>
            <translation>Antwort von {name}: {text}</translation>
        </message>
        <message>
            <source>Answer the last question again</source>
            <translation>Die letzte Frage neu beantworten</translation>
        </message>
        <message>
            <source>Answer: {count} tokens</source>
            <translation>Antwort: {count} Token</translation>
        </message>
        <message>
            <source>Answering sample questions</source>
            <translation>Beantwortet Beispielfragen</translation>
        </message>
        <message>
            <source>Answers</source>
            <translation>Antworten</translation>
        </message>
        <message>
            <source>Answers when {first} has ended</source>
            <translation>Antwortet, wenn {first} fertig ist</translation>
        </message>
        <message>
            <source>Any licence</source>
            <translation>Jede Lizenz</translation>
        </message>
        <message>
            <source>Appearance</source>
            <translation>Erscheinungsbild</translation>
        </message>
        <message>
            <source>Appearance: as the system</source>
            <translation>Erscheinungsbild: wie das System</translation>
        </message>
        <message>
            <source>Appearance: dark</source>
            <translation>Erscheinungsbild: dunkel</translation>
        </message>
        <message>
            <source>Appearance: light</source>
            <translation>Erscheinungsbild: hell</translation>
        </message>
        <message>
            <source>April</source>
            <translation>April</translation>
        </message>
        <message>
            <source>As the system</source>
            <translation>Wie das System</translation>
        </message>
        <message>
            <source>Ask for a token</source>
            <translation>Ein Token verlangen</translation>
        </message>
        <message>
            <source>At most {count} files can go with one message.</source>
            <translation>Höchstens {count} Dateien passen an eine Nachricht.</translation>
        </message>
        <message>
            <source>Attach files</source>
            <translation>Dateien anhängen</translation>
        </message>
        <message>
            <source>Attached files</source>
            <translation>Angehängte Dateien</translation>
        </message>
        <message>
            <source>Attached: {name} ({size})</source>
            <translation>Angehängt: {name} ({size})</translation>
        </message>
        <message>
            <source>August</source>
            <translation>August</translation>
        </message>
        <message>
            <source>Automatic</source>
            <translation>Automatisch</translation>
        </message>
        <message>
            <source>Automatic: 16 bits where they fit</source>
            <translation>Automatisch: 16 Bit, wo sie passen</translation>
        </message>
        <message>
            <source>Automatic: {precision} here</source>
            <translation>Automatisch: hier {precision}</translation>
        </message>
        <message>
            <source>Back</source>
            <translation>Zurück</translation>
        </message>
        <message>
            <source>Back to the library</source>
            <translation>Zurück zur Bibliothek</translation>
        </message>
        <message>
            <source>Balanced</source>
            <translation>Ausgewogen</translation>
        </message>
        <message>
            <source>Begin with</source>
            <translation>Beginnen mit</translation>
        </message>
        <message>
            <source>Bits a weight</source>
            <translation>Bit je Gewicht</translation>
        </message>
        <message>
            <source>Bits, size, memory of a card and quality exclude one another.</source>
            <translation>Bit, Größe, Speicher einer Grafikkarte und Qualität schließen einander aus.</translation>
        </message>
        <message>
            <source>Both models fit into the memory and answer at the same time.</source>
            <translation>Beide Modelle passen in den Speicher und antworten gleichzeitig.</translation>
        </message>
        <message>
            <source>Both took the likeliest word each time, repetitions discouraged. What differs is marked; other words are not worse words.</source>
            <translation>Beide nahmen immer das wahrscheinlichste Wort, ohne sich zu wiederholen. Unterschiede sind markiert; andere Wörter sind keine schlechteren.</translation>
        </message>
        <message>
            <source>Both, word for word</source>
            <translation>Beide, Wort für Wort</translation>
        </message>
        <message>
            <source>Branch from here</source>
            <translation>Von hier abzweigen</translation>
        </message>
        <message>
            <source>Bring them back, or delete them for ever.</source>
            <translation>Hole sie zurück oder lösche sie endgültig.</translation>
        </message>
        <message>
            <source>Calibrating</source>
            <translation>Kalibriert</translation>
        </message>
        <message>
            <source>Can be converted</source>
            <translation>Lassen sich ternarisieren</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>Abbrechen</translation>
        </message>
        <message>
            <source>Cancelled. What is done is kept.</source>
            <translation>Abgebrochen. Was fertig ist, bleibt.</translation>
        </message>
        <message>
            <source>Change the context…</source>
            <translation>Kontext ändern …</translation>
        </message>
        <message>
            <source>Changed.</source>
            <translation>Geändert.</translation>
        </message>
        <message>
            <source>Chat</source>
            <translation>Chat</translation>
        </message>
        <message>
            <source>Chat with a model of your own</source>
            <translation>Chatte mit deinem eigenen Modell</translation>
        </message>
        <message>
            <source>Chat with {id}</source>
            <translation>Chat mit {id}</translation>
        </message>
        <message>
            <source>Chat with {name}</source>
            <translation>Chat mit {name}</translation>
        </message>
        <message>
            <source>Check</source>
            <translation>Prüfen</translation>
        </message>
        <message>
            <source>Check of the token</source>
            <translation>Prüfung des Tokens</translation>
        </message>
        <message>
            <source>Check the connection, then try again. What has come already is kept.</source>
            <translation>Prüfe die Verbindung und versuche es noch einmal. Was schon da ist, bleibt.</translation>
        </message>
        <message>
            <source>Check: {name}</source>
            <translation>Prüfen: {name}</translation>
        </message>
        <message>
            <source>Checking the result</source>
            <translation>Prüft das Ergebnis</translation>
        </message>
        <message>
            <source>Choose a file</source>
            <translation>Datei wählen</translation>
        </message>
        <message>
            <source>Choose a folder that you may write to, then try again.</source>
            <translation>Wähle einen Ordner, in den du schreiben darfst, und versuche es noch einmal.</translation>
        </message>
        <message>
            <source>Choose a model</source>
            <translation>Modell wählen</translation>
        </message>
        <message>
            <source>Choose which pages the model reads</source>
            <translation>Wählen, welche Seiten das Modell liest</translation>
        </message>
        <message>
            <source>Clear</source>
            <translation>Leeren</translation>
        </message>
        <message>
            <source>Clear the history</source>
            <translation>Verlauf leeren</translation>
        </message>
        <message>
            <source>Clear the list?</source>
            <translation>Die Liste leeren?</translation>
        </message>
        <message>
            <source>Clear…</source>
            <translation>Leeren …</translation>
        </message>
        <message>
            <source>Close</source>
            <translation>Schließen</translation>
        </message>
        <message>
            <source>Close folder</source>
            <translation>Ordner zuklappen</translation>
        </message>
        <message>
            <source>Close or open the folder</source>
            <translation>Ordner zu- oder aufklappen</translation>
        </message>
        <message>
            <source>Close other programs or unload models, then try again: it goes on from where it was. If it happens again, take a smaller model.</source>
            <translation>Schließe andere Programme oder entlade Modelle und versuche es noch einmal: Es geht dort weiter, wo es war. Geschieht es wieder, nimm ein kleineres Modell.</translation>
        </message>
        <message>
            <source>Close the column of {name}; the conversation stays in the list</source>
            <translation>Die Spalte von {name} schließen; die Unterhaltung bleibt in der Liste</translation>
        </message>
        <message>
            <source>Close the note</source>
            <translation>Hinweis schließen</translation>
        </message>
        <message>
            <source>Close the panel</source>
            <translation>Seitenleiste schließen</translation>
        </message>
        <message>
            <source>Close this column</source>
            <translation>Diese Spalte schließen</translation>
        </message>
        <message>
            <source>Close to the original</source>
            <translation>Nah am Original</translation>
        </message>
        <message>
            <source>Close to the original: answers stay sensible, details differ.</source>
            <translation>Nah am Original: Die Antworten bleiben sinnvoll, Einzelheiten weichen ab.</translation>
        </message>
        <message>
            <source>Code</source>
            <translation>Code</translation>
        </message>
        <message>
            <source>Compare with…</source>
            <translation>Vergleichen mit …</translation>
        </message>
        <message>
            <source>Component</source>
            <translation>Bestandteil</translation>
        </message>
        <message>
            <source>Components and their licences</source>
            <translation>Bestandteile und ihre Lizenzen</translation>
        </message>
        <message>
            <source>Connected programs</source>
            <translation>Verbundene Programme</translation>
        </message>
        <message>
            <source>Connections and examples</source>
            <translation>Verbindungen und Beispiele</translation>
        </message>
        <message>
            <source>Content of the file</source>
            <translation>Inhalt der Datei</translation>
        </message>
        <message>
            <source>Context</source>
            <translation>Kontext</translation>
        </message>
        <message>
            <source>Context (tokens)</source>
            <translation>Kontext (Token)</translation>
        </message>
        <message>
            <source>Context in tokens</source>
            <translation>Kontext in Token</translation>
        </message>
        <message>
            <source>Context of {name}</source>
            <translation>Kontext von {name}</translation>
        </message>
        <message>
            <source>Context used</source>
            <translation>Belegter Kontext</translation>
        </message>
        <message>
            <source>Context used: {sentence}</source>
            <translation>Belegter Kontext: {sentence}</translation>
        </message>
        <message>
            <source>Context: {text}</source>
            <translation>Kontext: {text}</translation>
        </message>
        <message>
            <source>Context…</source>
            <translation>Kontext …</translation>
        </message>
        <message>
            <source>Continue</source>
            <translation>Weiterschreiben</translation>
        </message>
        <message>
            <source>Conversation</source>
            <translation>Unterhaltung</translation>
        </message>
        <message>
            <source>Conversations</source>
            <translation>Unterhaltungen</translation>
        </message>
        <message>
            <source>Conversations (*.json *.zip *.md);;All files (*)</source>
            <translation>Unterhaltungen (*.json *.zip *.md);;Alle Dateien (*)</translation>
        </message>
        <message>
            <source>Conversions wait while a full-screen program runs.</source>
            <translation>Das Ternarisieren wartet, solange ein Vollbildprogramm läuft.</translation>
        </message>
        <message>
            <source>Convert it again so</source>
            <translation>So noch einmal ternarisieren</translation>
        </message>
        <message>
            <source>Converted {how}.</source>
            <translation>Ternarisiert {how}.</translation>
        </message>
        <message>
            <source>Copied</source>
            <translation>Kopiert</translation>
        </message>
        <message>
            <source>Copy</source>
            <translation>Kopieren</translation>
        </message>
        <message>
            <source>Copy address</source>
            <translation>Adresse kopieren</translation>
        </message>
        <message>
            <source>Copy answer</source>
            <translation>Antwort kopieren</translation>
        </message>
        <message>
            <source>Copy as Markdown</source>
            <translation>Als Markdown kopieren</translation>
        </message>
        <message>
            <source>Copy as plain text</source>
            <translation>Als reinen Text kopieren</translation>
        </message>
        <message>
            <source>Copy code</source>
            <translation>Code kopieren</translation>
        </message>
        <message>
            <source>Copy message</source>
            <translation>Nachricht kopieren</translation>
        </message>
        <message>
            <source>Copy the address</source>
            <translation>Die Adresse kopieren</translation>
        </message>
        <message>
            <source>Copy the last answer</source>
            <translation>Die letzte Antwort kopieren</translation>
        </message>
        <message>
            <source>Copy the message</source>
            <translation>Meldung kopieren</translation>
        </message>
        <message>
            <source>Copy the token</source>
            <translation>Das Token kopieren</translation>
        </message>
        <message>
            <source>Copy versions</source>
            <translation>Versionen kopieren</translation>
        </message>
        <message>
            <source>Copy with the token</source>
            <translation>Mit dem Token kopieren</translation>
        </message>
        <message>
            <source>Creative</source>
            <translation>Kreativ</translation>
        </message>
        <message>
            <source>Ctrl+Enter</source>
            <translation>Strg+Eingabe</translation>
        </message>
        <message>
            <source>Dark</source>
            <translation>Dunkel</translation>
        </message>
        <message>
            <source>December</source>
            <translation>Dezember</translation>
        </message>
        <message>
            <source>Default: {value}</source>
            <translation>Voreinstellung: {value}</translation>
        </message>
        <message>
            <source>Delete</source>
            <translation>Löschen</translation>
        </message>
        <message numerus="yes">
            <source>Delete %n conversation(s) for ever?</source>
            <translation>
                <numerusform>%n Unterhaltung endgültig löschen?</numerusform>
                <numerusform>%n Unterhaltungen endgültig löschen?</numerusform>
            </translation>
        </message>
        <message>
            <source>Delete folder</source>
            <translation>Ordner löschen</translation>
        </message>
        <message>
            <source>Delete for ever</source>
            <translation>Endgültig löschen</translation>
        </message>
        <message>
            <source>Delete for ever…</source>
            <translation>Endgültig löschen …</translation>
        </message>
        <message>
            <source>Delete model</source>
            <translation>Modell löschen</translation>
        </message>
        <message>
            <source>Delete the original weights while converting</source>
            <translation>Die ursprünglichen Gewichte beim Ternarisieren löschen</translation>
        </message>
        <message>
            <source>Delete {id}</source>
            <translation>{id} löschen</translation>
        </message>
        <message>
            <source>Delete {id}?</source>
            <translation>{id} löschen?</translation>
        </message>
        <message>
            <source>Delete “{title}” for ever?</source>
            <translation>„{title}“ endgültig löschen?</translation>
        </message>
        <message>
            <source>Deleted conversations</source>
            <translation>Gelöschte Unterhaltungen</translation>
        </message>
        <message>
            <source>Deleted conversations stay here until you delete them for ever.</source>
            <translation>Gelöschte Unterhaltungen bleiben hier, bis du sie endgültig löschst.</translation>
        </message>
        <message>
            <source>Desktop and other programs</source>
            <translation>Arbeitsfläche und andere Programme</translation>
        </message>
        <message>
            <source>Details</source>
            <translation>Einzelheiten</translation>
        </message>
        <message>
            <source>Details of {name}</source>
            <translation>Einzelheiten zu {name}</translation>
        </message>
        <message>
            <source>Details of {name}: what it is and what it would cost</source>
            <translation>Einzelheiten zu {name}: was es ist und was es kosten würde</translation>
        </message>
        <message>
            <source>Details of “{query}” as typed</source>
            <translation>Einzelheiten zu „{query}“, wie eingegeben</translation>
        </message>
        <message>
            <source>Disk space for that (GB)</source>
            <translation>Speicherplatz dafür (GB)</translation>
        </message>
        <message>
            <source>Disk, at most at once</source>
            <translation>Platte, höchstens auf einmal</translation>
        </message>
        <message>
            <source>Dismiss</source>
            <translation>Ausblenden</translation>
        </message>
        <message>
            <source>Divergence (KL, nats a token)</source>
            <translation>Abweichung (KL, Nat je Token)</translation>
        </message>
        <message>
            <source>Do not wrap lines</source>
            <translation>Zeilen nicht umbrechen</translation>
        </message>
        <message>
            <source>Done</source>
            <translation>Fertig</translation>
        </message>
        <message>
            <source>Download</source>
            <translation>Herunterladen</translation>
        </message>
        <message>
            <source>Downloading</source>
            <translation>Lädt herunter</translation>
        </message>
        <message>
            <source>Drag to change the order, or press Alt with the up and down keys</source>
            <translation>Ziehen ändert die Reihenfolge, ebenso Alt mit den Pfeiltasten nach oben und unten</translation>
        </message>
        <message>
            <source>Drops words less likely than this share of the most likely one.</source>
            <translation>Lässt Wörter weg, die unwahrscheinlicher sind als dieser Anteil des wahrscheinlichsten.</translation>
        </message>
        <message>
            <source>Duration</source>
            <translation>Dauer</translation>
        </message>
        <message>
            <source>Edit</source>
            <translation>Bearbeiten</translation>
        </message>
        <message>
            <source>Edit the answer</source>
            <translation>Die Antwort bearbeiten</translation>
        </message>
        <message>
            <source>Edit the last message (in the empty field)</source>
            <translation>Die letzte Nachricht bearbeiten (im leeren Feld)</translation>
        </message>
        <message>
            <source>Edit your message</source>
            <translation>Deine Nachricht bearbeiten</translation>
        </message>
        <message>
            <source>Edit…</source>
            <translation>Bearbeiten …</translation>
        </message>
        <message>
            <source>Empty the trash after (days)</source>
            <translation>Papierkorb leeren nach (Tagen)</translation>
        </message>
        <message>
            <source>Empty the trash…</source>
            <translation>Papierkorb leeren …</translation>
        </message>
        <message>
            <source>Encoding of new models</source>
            <translation>Kodierung neuer Modelle</translation>
        </message>
        <message>
            <source>Engine</source>
            <translation>Engine</translation>
        </message>
        <message>
            <source>Enter</source>
            <translation>Eingabe</translation>
        </message>
        <message>
            <source>Esc</source>
            <translation>Esc</translation>
        </message>
        <message>
            <source>Every request that this program has made to the network, with time, host and purpose.</source>
            <translation>Jede Anfrage, die dieses Programm je ins Netz geschickt hat, mit Zeit, Gegenstelle und Zweck.</translation>
        </message>
        <message>
            <source>Everywhere</source>
            <translation>Überall</translation>
        </message>
        <message>
            <source>Example</source>
            <translation>Beispiel</translation>
        </message>
        <message>
            <source>Expected divergence: {kl} nats a token, between {low} and {high}, from what smaller models lost.</source>
            <translation>Erwartete Abweichung: {kl} Nat je Token, zwischen {low} und {high}, nach dem, was kleinere Modelle verloren haben.</translation>
        </message>
        <message>
            <source>Explain how a rainbow forms, in three sentences</source>
            <translation>Erkläre in drei Sätzen, wie ein Regenbogen entsteht</translation>
        </message>
        <message>
            <source>Export</source>
            <translation>Exportieren</translation>
        </message>
        <message>
            <source>Export all conversations</source>
            <translation>Alle Unterhaltungen exportieren</translation>
        </message>
        <message>
            <source>Export all…</source>
            <translation>Alle exportieren …</translation>
        </message>
        <message>
            <source>Export as Markdown…</source>
            <translation>Als Markdown exportieren …</translation>
        </message>
        <message>
            <source>Export conversations</source>
            <translation>Unterhaltungen exportieren</translation>
        </message>
        <message>
            <source>Export the list</source>
            <translation>Liste exportieren</translation>
        </message>
        <message>
            <source>Export…</source>
            <translation>Exportieren …</translation>
        </message>
        <message>
            <source>Facts about a model</source>
            <translation>Angaben zu einem Modell</translation>
        </message>
        <message>
            <source>Failed</source>
            <translation>Fehlgeschlagen</translation>
        </message>
        <message>
            <source>Falcon licence</source>
            <translation>Falcon-Lizenz</translation>
        </message>
        <message>
            <source>Far from the original</source>
            <translation>Weit vom Original</translation>
        </message>
        <message>
            <source>Far from the original: expect mistakes. A larger encoding stays nearer.</source>
            <translation>Weit vom Original: Rechne mit Fehlern. Eine größere Kodierung bleibt näher dran.</translation>
        </message>
        <message>
            <source>February</source>
            <translation>Februar</translation>
        </message>
        <message>
            <source>Fewer bits hold a longer context in the same memory; 8 bits are hardly distinguishable from 16.</source>
            <translation>Mit weniger Bit passt mehr Kontext in denselben Speicher; 8 Bit sind von 16 kaum zu unterscheiden.</translation>
        </message>
        <message>
            <source>Fewer pages…</source>
            <translation>Weniger Seiten …</translation>
        </message>
        <message>
            <source>File of a model</source>
            <translation>Datei eines Modells</translation>
        </message>
        <message>
            <source>File: {path}</source>
            <translation>Datei: {path}</translation>
        </message>
        <message>
            <source>Files of the report</source>
            <translation>Dateien des Berichts</translation>
        </message>
        <message>
            <source>Files: {count}, of which {size} are needed</source>
            <translation>Dateien: {count}, davon werden {size} gebraucht</translation>
        </message>
        <message>
            <source>Filter by program, host or purpose</source>
            <translation>Nach Programm, Gegenstelle oder Zweck filtern</translation>
        </message>
        <message>
            <source>Find a model</source>
            <translation>Modell suchen</translation>
        </message>
        <message>
            <source>Find a model on Hugging Face</source>
            <translation>Ein Modell bei Hugging Face suchen</translation>
        </message>
        <message>
            <source>Find a shortcut</source>
            <translation>Tastenkürzel suchen</translation>
        </message>
        <message>
            <source>Find in this conversation</source>
            <translation>In dieser Unterhaltung suchen</translation>
        </message>
        <message>
            <source>First word after</source>
            <translation>Erstes Wort nach</translation>
        </message>
        <message>
            <source>First word after {time}</source>
            <translation>Erstes Wort nach {time}</translation>
        </message>
        <message>
            <source>Fits this machine</source>
            <translation>Passt auf diesen Rechner</translation>
        </message>
        <message>
            <source>Folder for the model</source>
            <translation>Ordner für das Modell</translation>
        </message>
        <message>
            <source>Folder {name}, {state}, {count}</source>
            <translation>Ordner {name}, {state}, {count}</translation>
        </message>
        <message>
            <source>Folders, import, export, trash</source>
            <translation>Ordner, Import, Export, Papierkorb</translation>
        </message>
        <message>
            <source>For every conversation that has no choice of its own (a click on the context's gauge).</source>
            <translation>Für jede Unterhaltung, die keine eigene Wahl hat (Klick auf die Anzeige des Kontexts).</translation>
        </message>
        <message>
            <source>For example http://proxy.example.org:3128; used when “The one below” is chosen.</source>
            <translation>Zum Beispiel http://proxy.example.org:3128; gilt, wenn „Der unten genannte“ gewählt ist.</translation>
        </message>
        <message>
            <source>For private use only, unchanged: a ternary version of it must not be passed on.</source>
            <translation>Nur für private Zwecke und unverändert: Eine ternäre Fassung darf nicht weitergegeben werden.</translation>
        </message>
        <message>
            <source>For research and private use only: no commercial use.</source>
            <translation>Nur für Forschung und private Zwecke: keine geschäftliche Nutzung.</translation>
        </message>
        <message>
            <source>Four levels. For large models where memory is short.</source>
            <translation>Vier Stufen. Für große Modelle, wenn der Speicher knapp ist.</translation>
        </message>
        <message>
            <source>Free</source>
            <translation>Frei</translation>
        </message>
        <message>
            <source>Free software under the Apache License 2.0, without any warranty. Kept in {folder}.</source>
            <translation>Freie Software unter der Apache-Lizenz 2.0, ohne jede Gewähr. Alles liegt in {folder}.</translation>
        </message>
        <message>
            <source>Free some space on the disk, then try again. What is done is kept.</source>
            <translation>Schaffe Platz auf der Platte und versuche es noch einmal. Was fertig ist, bleibt.</translation>
        </message>
        <message>
            <source>From exports of this program, of ChatGPT and of Open WebUI. Nothing leaves this machine.</source>
            <translation>Aus Exporten dieses Programms, von ChatGPT und von Open WebUI. Nichts verlässt diesen Rechner.</translation>
        </message>
        <message>
            <source>From here on the model does not read all of the text before any more.</source>
            <translation>Von hier an liest das Modell nicht mehr den ganzen Text davor.</translation>
        </message>
        <message numerus="yes">
            <source>From here on the model does not read the first %n message(s) any more.</source>
            <translation>
                <numerusform>Von hier an liest das Modell die erste Nachricht nicht mehr (%n).</numerusform>
                <numerusform>Von hier an liest das Modell die ersten %n Nachrichten nicht mehr.</numerusform>
            </translation>
        </message>
        <message>
            <source>From here on the model reads a summary of what came before: {summary}</source>
            <translation>Von hier an liest das Modell eine Zusammenfassung dessen, was davor kam: {summary}</translation>
        </message>
        <message>
            <source>Gather the report</source>
            <translation>Bericht zusammenstellen</translation>
        </message>
        <message>
            <source>Gathers versions, settings and logs without secrets into a file that you can look at first.</source>
            <translation>Sammelt Versionen, Einstellungen und Protokolle ohne Geheimnisse in einer Datei, die du vorher ansehen kannst.</translation>
        </message>
        <message>
            <source>Gemma licence</source>
            <translation>Gemma-Lizenz</translation>
        </message>
        <message>
            <source>General</source>
            <translation>Allgemein</translation>
        </message>
        <message>
            <source>Get a model</source>
            <translation>Ein Modell holen</translation>
        </message>
        <message>
            <source>Get a model first</source>
            <translation>Hole zuerst ein Modell</translation>
        </message>
        <message>
            <source>Get it</source>
            <translation>Holen</translation>
        </message>
        <message>
            <source>Get {name}</source>
            <translation>{name} holen</translation>
        </message>
        <message>
            <source>Getting it…</source>
            <translation>Wird geholt …</translation>
        </message>
        <message>
            <source>Give me five ideas for a rainy afternoon</source>
            <translation>Nenne mir fünf Ideen für einen verregneten Nachmittag</translation>
        </message>
        <message>
            <source>Give way to full-screen programs</source>
            <translation>Vollbildprogrammen den Vortritt lassen</translation>
        </message>
        <message>
            <source>Go on</source>
            <translation>Weitermachen</translation>
        </message>
        <message>
            <source>Groups of settings</source>
            <translation>Gruppen von Einstellungen</translation>
        </message>
        <message>
            <source>Hardly distinguishable from the original</source>
            <translation>Vom Original kaum zu unterscheiden</translation>
        </message>
        <message>
            <source>Hardly distinguishable from the original, at half its size.</source>
            <translation>Vom Original kaum zu unterscheiden, halb so groß.</translation>
        </message>
        <message>
            <source>Hardly distinguishable from the original.</source>
            <translation>Vom Original kaum zu unterscheiden.</translation>
        </message>
        <message>
            <source>Held until the program is closed.</source>
            <translation>Gilt, bis das Programm beendet wird.</translation>
        </message>
        <message>
            <source>Help</source>
            <translation>Hilfe</translation>
        </message>
        <message>
            <source>Hide the token</source>
            <translation>Token verbergen</translation>
        </message>
        <message>
            <source>Hold it until the program is closed, or keep it in a file that only your account may read?</source>
            <translation>Soll es gelten, bis das Programm beendet wird, oder in einer Datei bleiben, die nur dein Konto lesen darf?</translation>
        </message>
        <message>
            <source>Holds for this conversation from the next answer on.</source>
            <translation>Gilt für diese Unterhaltung ab der nächsten Antwort.</translation>
        </message>
        <message>
            <source>Holds for this conversation; the settings say it for all others.</source>
            <translation>Gilt für diese Unterhaltung; für alle anderen gelten die Einstellungen.</translation>
        </message>
        <message>
            <source>Host</source>
            <translation>Gegenstelle</translation>
        </message>
        <message>
            <source>Hosts that are asked directly, with commas between them.</source>
            <translation>Rechner, die direkt gefragt werden, durch Kommas getrennt.</translation>
        </message>
        <message>
            <source>How close it stays is measured when it is converted.</source>
            <translation>Wie nah es bleibt, wird beim Ternarisieren gemessen.</translation>
        </message>
        <message>
            <source>How far its predictions are from the original's. 0 is the same; up to 0.2 answers stay sensible.</source>
            <translation>Wie weit seine Vorhersagen von denen des Originals abweichen. 0 heißt gleich; bis 0,2 bleiben Antworten sinnvoll.</translation>
        </message>
        <message>
            <source>How long the context is to be, and what it takes of the memory</source>
            <translation>Wie lang der Kontext sein soll und wie viel Speicher er braucht</translation>
        </message>
        <message>
            <source>How long the context is, and what it takes of the memory</source>
            <translation>Wie lang der Kontext ist und wie viel Speicher er braucht</translation>
        </message>
        <message>
            <source>How much a text surprises it; lower is better.</source>
            <translation>Wie sehr ein Text es überrascht; weniger ist besser.</translation>
        </message>
        <message>
            <source>How much a text surprises it; lower is better. The original: {original} ({more} %).</source>
            <translation>Wie sehr ein Text es überrascht; weniger ist besser. Das Original: {original} ({more} %).</translation>
        </message>
        <message>
            <source>How much memory it takes is known when its shape is read.</source>
            <translation>Wie viel Speicher es braucht, steht fest, sobald sein Aufbau gelesen ist.</translation>
        </message>
        <message>
            <source>How much text a conversation can hold, questions and answers together.</source>
            <translation>Wie viel Text eine Unterhaltung fasst, Fragen und Antworten zusammen.</translation>
        </message>
        <message>
            <source>How much text a conversation can hold; longer takes more memory.</source>
            <translation>Wie viel Text eine Unterhaltung fasst; mehr braucht mehr Speicher.</translation>
        </message>
        <message>
            <source>How near it is to the original has not been measured yet.</source>
            <translation>Wie nah es am Original ist, wurde noch nicht gemessen.</translation>
        </message>
        <message>
            <source>How often it holds the same word for the likeliest as the original does.</source>
            <translation>Wie oft es dasselbe Wort für das wahrscheinlichste hält wie das Original.</translation>
        </message>
        <message>
            <source>How to use it</source>
            <translation>So benutzt du ihn</translation>
        </message>
        <message>
            <source>Hugging Face token</source>
            <translation>Hugging-Face-Token</translation>
        </message>
        <message>
            <source>Import conversations</source>
            <translation>Unterhaltungen importieren</translation>
        </message>
        <message>
            <source>Import conversations…</source>
            <translation>Unterhaltungen importieren …</translation>
        </message>
        <message>
            <source>Importing {name}</source>
            <translation>{name} wird importiert</translation>
        </message>
        <message>
            <source>In a file</source>
            <translation>In einer Datei</translation>
        </message>
        <message>
            <source>In a terminal.</source>
            <translation>In einem Terminal.</translation>
        </message>
        <message>
            <source>In percent of the system's; also with Ctrl and + or −.</source>
            <translation>In Prozent der Schriftgröße des Systems; auch mit Strg und + oder −.</translation>
        </message>
        <message>
            <source>In the file ~/.continue/config.yaml.</source>
            <translation>In der Datei ~/.continue/config.yaml.</translation>
        </message>
        <message>
            <source>Install the part that converts models (the extra “convert”), then try again.</source>
            <translation>Installiere den Teil, der Modelle ternarisiert (das Extra „convert“), und versuche es noch einmal.</translation>
        </message>
        <message>
            <source>Installed</source>
            <translation>Installiert</translation>
        </message>
        <message>
            <source>Installed ({count})</source>
            <translation>Installiert ({count})</translation>
        </message>
        <message>
            <source>Installed already</source>
            <translation>Schon installiert</translation>
        </message>
        <message>
            <source>Installed model {id}</source>
            <translation>Installiertes Modell {id}</translation>
        </message>
        <message>
            <source>Installed models</source>
            <translation>Installierte Modelle</translation>
        </message>
        <message>
            <source>It cannot be converted: {reason}</source>
            <translation>Es lässt sich nicht ternarisieren: {reason}</translation>
        </message>
        <message>
            <source>It does not fit on {name}: it takes {need} of {budget}, so that it runs on the processor.</source>
            <translation>Es passt nicht auf {name}: Es braucht {need} von {budget}, darum läuft es auf dem Prozessor.</translation>
        </message>
        <message>
            <source>It does not fit: it takes {need}, this machine has {total}. Choose a smaller one.</source>
            <translation>Es passt nicht: Es braucht {need}, dieser Rechner hat {total}. Wähle ein kleineres.</translation>
        </message>
        <message>
            <source>It fits on {name}: with {context} tokens of context it takes {need} of {budget}, and up to {longest} tokens fit.</source>
            <translation>Es passt auf {name}: Mit {context} Token Kontext braucht es {need} von {budget}, und bis zu {longest} Token passen.</translation>
        </message>
        <message>
            <source>It fits when other programs are closed: it takes {need}, {free} of {total} are free.</source>
            <translation>Es passt, wenn andere Programme geschlossen werden: Es braucht {need}, frei sind {free} von {total}.</translation>
        </message>
        <message>
            <source>It fits when the models loaded now are unloaded ({freed}): it takes {need}.</source>
            <translation>Es passt, wenn die jetzt geladenen Modelle entladen werden ({freed}): Es braucht {need}.</translation>
        </message>
        <message>
            <source>It fits: {need} of the {free} that are free.</source>
            <translation>Es passt: {need} von {free}, die frei sind.</translation>
        </message>
        <message>
            <source>It has a licence of its own: read it on the model's page before you do more than try it.</source>
            <translation>Es hat eine eigene Lizenz: Lies sie auf der Seite des Modells, bevor du mehr tust, als es auszuprobieren.</translation>
        </message>
        <message>
            <source>It has no messages.</source>
            <translation>Sie hat keine Nachrichten.</translation>
        </message>
        <message>
            <source>It is being measured now; the Jobs page shows how far it is.</source>
            <translation>Es wird gerade gemessen; die Seite „Aufträge“ zeigt, wie weit es ist.</translation>
        </message>
        <message>
            <source>It is in the public domain: no conditions.</source>
            <translation>Es ist gemeinfrei: keine Bedingungen.</translation>
        </message>
        <message>
            <source>It is not as that program writes it: {detail}</source>
            <translation>Sie ist nicht so, wie jenes Programm sie schreibt: {detail}</translation>
        </message>
        <message>
            <source>It was trained with ternary weights, which are taken over as they are: nothing is lost.</source>
            <translation>Es wurde mit ternären Gewichten trainiert, die übernommen werden, wie sie sind: Nichts geht verloren.</translation>
        </message>
        <message>
            <source>Its authors name no licence: ask them before you do more than try it.</source>
            <translation>Die Urheber nennen keine Lizenz: Frage sie, bevor du mehr tust, als es auszuprobieren.</translation>
        </message>
        <message>
            <source>Its authors want to know who takes it. That is free, and done once:</source>
            <translation>Die Urheber möchten wissen, wer es nimmt. Das ist kostenlos und einmalig:</translation>
        </message>
        <message>
            <source>Its messages refer to each other in a circle.</source>
            <translation>Ihre Nachrichten verweisen im Kreis aufeinander.</translation>
        </message>
        <message>
            <source>Its own ternary weights</source>
            <translation>Eigene ternäre Gewichte</translation>
        </message>
        <message>
            <source>JSON with all branches (*.json)</source>
            <translation>JSON mit allen Zweigen (*.json)</translation>
        </message>
        <message>
            <source>January</source>
            <translation>Januar</translation>
        </message>
        <message>
            <source>Jobs</source>
            <translation>Aufträge</translation>
        </message>
        <message numerus="yes">
            <source>Jobs that were interrupted: %n. What is done is kept.</source>
            <translation>
                <numerusform>Unterbrochene Aufträge: %n. Was fertig ist, bleibt.</numerusform>
                <numerusform>Unterbrochene Aufträge: %n. Was fertig ist, bleibt.</numerusform>
            </translation>
        </message>
        <message>
            <source>July</source>
            <translation>Juli</translation>
        </message>
        <message>
            <source>June</source>
            <translation>Juni</translation>
        </message>
        <message>
            <source>Keep</source>
            <translation>Behalten</translation>
        </message>
        <message>
            <source>Keep conversations ready</source>
            <translation>Unterhaltungen bereithalten</translation>
        </message>
        <message>
            <source>Keep it</source>
            <translation>Behalten</translation>
        </message>
        <message>
            <source>Keep it in a file</source>
            <translation>In einer Datei behalten</translation>
        </message>
        <message>
            <source>Keep it in {folder}</source>
            <translation>Es in {folder} behalten</translation>
        </message>
        <message>
            <source>Keep the old one</source>
            <translation>Das alte behalten</translation>
        </message>
        <message>
            <source>Keeping the source and tuning are yes or no.</source>
            <translation>Für das Behalten der Quelle und das Abstimmen gibt es nur Ja oder Nein.</translation>
        </message>
        <message>
            <source>Keeps the model from writing the same phrase again; 0 is off.</source>
            <translation>Hält das Modell davon ab, dieselbe Wendung noch einmal zu schreiben; 0 heißt aus.</translation>
        </message>
        <message>
            <source>Kept free</source>
            <translation>Frei gehalten</translation>
        </message>
        <message>
            <source>Kept in the file secrets.json, which only you may read.</source>
            <translation>Liegt in der Datei secrets.json, die nur du lesen darfst.</translation>
        </message>
        <message>
            <source>Kept in the system's key ring.</source>
            <translation>Liegt im Schlüsselbund des Systems.</translation>
        </message>
        <message>
            <source>Keyboard shortcuts</source>
            <translation>Tastenkürzel</translation>
        </message>
        <message>
            <source>LAN, network, remote</source>
            <translation>LAN, Netzwerk, entfernt</translation>
        </message>
        <message>
            <source>Language</source>
            <translation>Sprache</translation>
        </message>
        <message>
            <source>Larger context…</source>
            <translation>Größerer Kontext …</translation>
        </message>
        <message>
            <source>Larger text</source>
            <translation>Größere Schrift</translation>
        </message>
        <message>
            <source>Leave out the oldest</source>
            <translation>Älteste weglassen</translation>
        </message>
        <message>
            <source>Leave out the oldest messages</source>
            <translation>Die ältesten Nachrichten weglassen</translation>
        </message>
        <message>
            <source>Let go of the files here to attach them.</source>
            <translation>Lass die Dateien hier los, um sie anzuhängen.</translation>
        </message>
        <message>
            <source>Let other machines in</source>
            <translation>Andere Rechner zulassen</translation>
        </message>
        <message>
            <source>Let the last answer go on</source>
            <translation>Die letzte Antwort weiterschreiben lassen</translation>
        </message>
        <message>
            <source>Library</source>
            <translation>Bibliothek</translation>
        </message>
        <message>
            <source>Licence</source>
            <translation>Lizenz</translation>
        </message>
        <message>
            <source>Licence: {name}. {sentence}</source>
            <translation>Lizenz: {name}. {sentence}</translation>
        </message>
        <message>
            <source>Light</source>
            <translation>Hell</translation>
        </message>
        <message>
            <source>List of conversations</source>
            <translation>Liste der Unterhaltungen</translation>
        </message>
        <message>
            <source>Llama {version} licence</source>
            <translation>Llama-{version}-Lizenz</translation>
        </message>
        <message>
            <source>Loading</source>
            <translation>Lädt</translation>
        </message>
        <message>
            <source>Loading the model</source>
            <translation>Modell wird geladen</translation>
        </message>
        <message>
            <source>Loading the model {percent} %…</source>
            <translation>Modell wird geladen: {percent} % …</translation>
        </message>
        <message>
            <source>Loading the model…</source>
            <translation>Modell wird geladen …</translation>
        </message>
        <message>
            <source>Loading {percent} %…</source>
            <translation>Lädt {percent} % …</translation>
        </message>
        <message>
            <source>Loading…</source>
            <translation>Lädt …</translation>
        </message>
        <message>
            <source>Log</source>
            <translation>Protokoll</translation>
        </message>
        <message>
            <source>Log of {name}</source>
            <translation>Protokoll von {name}</translation>
        </message>
        <message>
            <source>Longer context…</source>
            <translation>Längerer Kontext …</translation>
        </message>
        <message>
            <source>Longest answer (tokens)</source>
            <translation>Längste Antwort (Token)</translation>
        </message>
        <message>
            <source>Longest that fits</source>
            <translation>Höchstens</translation>
        </message>
        <message>
            <source>Look</source>
            <translation>Aussehen</translation>
        </message>
        <message>
            <source>Looking for models…</source>
            <translation>Modelle werden gesucht …</translation>
        </message>
        <message>
            <source>Looking it up</source>
            <translation>Schlägt nach</translation>
        </message>
        <message>
            <source>Made from {source}, licence {licence}.</source>
            <translation>Gemacht aus {source}, Lizenz {licence}.</translation>
        </message>
        <message>
            <source>Made with the work of others</source>
            <translation>Entstanden mit der Arbeit anderer</translation>
        </message>
        <message>
            <source>Make a new token</source>
            <translation>Neues Token machen</translation>
        </message>
        <message>
            <source>Make a new token?</source>
            <translation>Ein neues Token machen?</translation>
        </message>
        <message>
            <source>Make a token that may read, at {address}.</source>
            <translation>Erstelle unter {address} ein Token, das lesen darf.</translation>
        </message>
        <message>
            <source>Makes words that were written already less likely; 1 is off.</source>
            <translation>Macht schon geschriebene Wörter unwahrscheinlicher; 1 heißt aus.</translation>
        </message>
        <message>
            <source>March</source>
            <translation>März</translation>
        </message>
        <message>
            <source>May</source>
            <translation>Mai</translation>
        </message>
        <message>
            <source>Measure now</source>
            <translation>Jetzt messen</translation>
        </message>
        <message>
            <source>Measured divergence: {kl} nats a token.</source>
            <translation>Gemessene Abweichung: {kl} Nat je Token.</translation>
        </message>
        <message>
            <source>Measured on {tokens} tokens of text that it was not made with.</source>
            <translation>Gemessen an {tokens} Token Text, mit dem es nicht gemacht wurde.</translation>
        </message>
        <message>
            <source>Measurement</source>
            <translation>Messung</translation>
        </message>
        <message>
            <source>Measuring how fast this machine is…</source>
            <translation>Es wird gemessen, wie schnell dieser Rechner ist …</translation>
        </message>
        <message>
            <source>Memory</source>
            <translation>Speicher</translation>
        </message>
        <message>
            <source>Memory, {whole}: {parts}</source>
            <translation>Speicher, {whole}: {parts}</translation>
        </message>
        <message>
            <source>Message</source>
            <translation>Nachricht</translation>
        </message>
        <message>
            <source>Message field</source>
            <translation>Nachrichtenfeld</translation>
        </message>
        <message>
            <source>Message {name}</source>
            <translation>Nachricht an {name}</translation>
        </message>
        <message>
            <source>Messages</source>
            <translation>Nachrichten</translation>
        </message>
        <message>
            <source>Min-p</source>
            <translation>Min-p</translation>
        </message>
        <message>
            <source>Mixed formats, {bits} bits a weight</source>
            <translation>Gemischte Formate, {bits} Bit je Gewicht</translation>
        </message>
        <message>
            <source>Model</source>
            <translation>Modell</translation>
        </message>
        <message>
            <source>Model's own</source>
            <translation>Vom Modell</translation>
        </message>
        <message>
            <source>Model: {model}</source>
            <translation>Modell: {model}</translation>
        </message>
        <message>
            <source>Model: {name}</source>
            <translation>Modell: {name}</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>Modelle</translation>
        </message>
        <message>
            <source>Models loaded now</source>
            <translation>Jetzt geladene Modelle</translation>
        </message>
        <message>
            <source>Models make mistakes. Check what matters.</source>
            <translation>Modelle machen Fehler. Prüfe, was wichtig ist.</translation>
        </message>
        <message>
            <source>Models of the family {family}, or stored as this one is, cannot be converted yet.</source>
            <translation>Modelle der Familie {family}, oder solche, die wie dieses gespeichert sind, lassen sich noch nicht ternarisieren.</translation>
        </message>
        <message>
            <source>Models of this family cannot be converted yet.</source>
            <translation>Modelle dieser Familie lassen sich noch nicht ternarisieren.</translation>
        </message>
        <message>
            <source>More</source>
            <translation>Mehr</translation>
        </message>
        <message>
            <source>More actions</source>
            <translation>Weitere Aktionen</translation>
        </message>
        <message>
            <source>More folders with models</source>
            <translation>Weitere Ordner mit Modellen</translation>
        </message>
        <message>
            <source>More results</source>
            <translation>Weitere Ergebnisse</translation>
        </message>
        <message>
            <source>More than the {count} tokens that the model was made for: past them its answers may lose the thread. What exactly suffers is said once it is open.</source>
            <translation>Mehr als die {count} Token, für die das Modell gemacht ist: Darüber hinaus können seine Antworten den Faden verlieren. Was genau leidet, steht da, sobald es offen ist.</translation>
        </message>
        <message>
            <source>Most downloaded</source>
            <translation>Am meisten geladen</translation>
        </message>
        <message>
            <source>Most liked</source>
            <translation>Am beliebtesten</translation>
        </message>
        <message>
            <source>Move down</source>
            <translation>Nach unten</translation>
        </message>
        <message>
            <source>Move the job down</source>
            <translation>Auftrag nach unten schieben</translation>
        </message>
        <message>
            <source>Move the job up</source>
            <translation>Auftrag nach oben schieben</translation>
        </message>
        <message>
            <source>Move to</source>
            <translation>Verschieben nach</translation>
        </message>
        <message>
            <source>Move to the top</source>
            <translation>Ganz nach oben</translation>
        </message>
        <message>
            <source>Move up</source>
            <translation>Nach oben</translation>
        </message>
        <message>
            <source>Name</source>
            <translation>Name</translation>
        </message>
        <message>
            <source>Name (one that is there is replaced)</source>
            <translation>Name (ein vorhandener wird ersetzt)</translation>
        </message>
        <message>
            <source>Natively ternary</source>
            <translation>Von Haus aus ternär</translation>
        </message>
        <message>
            <source>Natively ternary: nothing is lost, it is ready minutes after the download, and it is small enough to answer quickly on this processor.</source>
            <translation>Von Haus aus ternär: Nichts geht verloren, es ist Minuten nach dem Herunterladen bereit und klein genug, um auf diesem Prozessor schnell zu antworten.</translation>
        </message>
        <message>
            <source>Nearly as good as the original</source>
            <translation>Fast so gut wie das Original</translation>
        </message>
        <message>
            <source>Nearly as good as the original.</source>
            <translation>Fast so gut wie das Original.</translation>
        </message>
        <message>
            <source>Nearly lossless</source>
            <translation>Nahezu verlustfrei</translation>
        </message>
        <message>
            <source>Needed only for models whose owners ask for an account. Make one with the right to read on the hub's page “Access tokens”. It is kept in the system's key ring, never in a file of settings or a log.</source>
            <translation>Nur für Modelle nötig, deren Eigentümer ein Konto verlangen. Erstelle es mit Leserecht auf der Seite „Access tokens“ des Hub. Es liegt im Schlüsselbund des Systems, nie in einer Einstellungsdatei oder einem Protokoll.</translation>
        </message>
        <message>
            <source>Network</source>
            <translation>Netzwerk</translation>
        </message>
        <message>
            <source>Network: offline</source>
            <translation>Netzwerk: offline</translation>
        </message>
        <message>
            <source>New chat</source>
            <translation>Neue Unterhaltung</translation>
        </message>
        <message>
            <source>New folder</source>
            <translation>Neuer Ordner</translation>
        </message>
        <message>
            <source>New folder…</source>
            <translation>Neuer Ordner …</translation>
        </message>
        <message>
            <source>New line</source>
            <translation>Neue Zeile</translation>
        </message>
        <message>
            <source>New token…</source>
            <translation>Neues Token …</translation>
        </message>
        <message>
            <source>Newest</source>
            <translation>Neueste</translation>
        </message>
        <message>
            <source>Next place</source>
            <translation>Nächste Stelle</translation>
        </message>
        <message>
            <source>Next version</source>
            <translation>Nächste Fassung</translation>
        </message>
        <message>
            <source>No account needed</source>
            <translation>Kein Konto nötig</translation>
        </message>
        <message>
            <source>No conversations were recognised in this file. Exports of this program, of ChatGPT (conversations.json or the ZIP with it) and of Open WebUI can be read.</source>
            <translation>In dieser Datei wurden keine Unterhaltungen erkannt. Lesbar sind Exporte dieses Programms, von ChatGPT (conversations.json oder das ZIP damit) und von Open WebUI.</translation>
        </message>
        <message>
            <source>No description: {reason}</source>
            <translation>Keine Beschreibung: {reason}</translation>
        </message>
        <message>
            <source>No folder</source>
            <translation>Kein Ordner</translation>
        </message>
        <message>
            <source>No installed model is called so.</source>
            <translation>So heißt kein installiertes Modell.</translation>
        </message>
        <message>
            <source>No key ring is available on this system.</source>
            <translation>Auf diesem System gibt es keinen Schlüsselbund.</translation>
        </message>
        <message>
            <source>No model is installed yet</source>
            <translation>Noch ist kein Modell installiert</translation>
        </message>
        <message>
            <source>No program is connected.</source>
            <translation>Kein Programm ist verbunden.</translation>
        </message>
        <message>
            <source>No request has to do with “{words}”.</source>
            <translation>Keine Anfrage hat mit „{words}“ zu tun.</translation>
        </message>
        <message>
            <source>No setting has to do with “{words}”.</source>
            <translation>Keine Einstellung hat mit „{words}“ zu tun.</translation>
        </message>
        <message>
            <source>No shortcut is called that.</source>
            <translation>So heißt kein Tastenkürzel.</translation>
        </message>
        <message>
            <source>No text was read from this file.</source>
            <translation>Aus dieser Datei wurde kein Text gelesen.</translation>
        </message>
        <message>
            <source>None</source>
            <translation>Keiner</translation>
        </message>
        <message>
            <source>None is set.</source>
            <translation>Keines ist gesetzt.</translation>
        </message>
        <message>
            <source>None of the recommended models is of this kind.</source>
            <translation>Keines der empfohlenen Modelle ist von dieser Art.</translation>
        </message>
        <message>
            <source>Not in memory: loaded with the next message</source>
            <translation>Nicht im Speicher: wird mit der nächsten Nachricht geladen</translation>
        </message>
        <message>
            <source>Not known</source>
            <translation>Unbekannt</translation>
        </message>
        <message>
            <source>Not supported</source>
            <translation>Nicht unterstützt</translation>
        </message>
        <message>
            <source>Nothing</source>
            <translation>Nichts</translation>
        </message>
        <message>
            <source>Nothing found.</source>
            <translation>Nichts gefunden.</translation>
        </message>
        <message>
            <source>Nothing goes out to the network: no search, no download. Installed models work as before.</source>
            <translation>Nichts geht ins Netz: keine Suche, kein Herunterladen. Installierte Modelle arbeiten wie zuvor.</translation>
        </message>
        <message>
            <source>Nothing has been written yet.</source>
            <translation>Noch wurde nichts geschrieben.</translation>
        </message>
        <message>
            <source>Nothing has ever left this machine.</source>
            <translation>Noch nie hat etwas diesen Rechner verlassen.</translation>
        </message>
        <message>
            <source>Nothing is under way. Models that you get appear here while they are made.</source>
            <translation>Nichts ist in Arbeit. Modelle, die du holst, erscheinen hier, während sie entstehen.</translation>
        </message>
        <message>
            <source>Nothing was asked yet. What is said in requests is not kept, only that there was one.</source>
            <translation>Noch wurde nichts gefragt. Was in Anfragen steht, wird nicht aufgehoben, nur dass es eine gab.</translation>
        </message>
        <message>
            <source>Nothing was found. Perhaps the filters leave it out, or it is spelt otherwise.</source>
            <translation>Es wurde nichts gefunden. Vielleicht lassen die Filter es weg, oder es schreibt sich anders.</translation>
        </message>
        <message>
            <source>Noticeably weaker than the original</source>
            <translation>Merklich schwächer als das Original</translation>
        </message>
        <message>
            <source>Noticeably weaker than the original: check what it says.</source>
            <translation>Merklich schwächer als das Original: Prüfe, was es sagt.</translation>
        </message>
        <message>
            <source>November</source>
            <translation>November</translation>
        </message>
        <message>
            <source>October</source>
            <translation>Oktober</translation>
        </message>
        <message>
            <source>Offline</source>
            <translation>Offline</translation>
        </message>
        <message>
            <source>Offline is switched on. Jobs that were under way are paused.</source>
            <translation>Offline ist eingeschaltet. Laufende Aufträge sind angehalten.</translation>
        </message>
        <message>
            <source>Older ones are not shown, but exported.</source>
            <translation>Ältere werden nicht gezeigt, aber exportiert.</translation>
        </message>
        <message>
            <source>One a line; for another drive. New models go to the usual place unless you choose one of these.</source>
            <translation>Einer je Zeile, etwa für ein anderes Laufwerk. Neue Modelle kommen an den üblichen Ort, wenn du keinen von diesen wählst.</translation>
        </message>
        <message>
            <source>One is running, about {time} left.</source>
            <translation>Einer läuft, noch etwa {time}.</translation>
        </message>
        <message>
            <source>One is running.</source>
            <translation>Einer läuft.</translation>
        </message>
        <message>
            <source>One request, to {hosts}.</source>
            <translation>Eine Anfrage, an {hosts}.</translation>
        </message>
        <message>
            <source>One ternary plane. The smallest; small models lose their wits.</source>
            <translation>Eine ternäre Ebene. Am kleinsten; kleine Modelle verlieren dabei den Verstand.</translation>
        </message>
        <message>
            <source>Only for a proxy that asks for one, for the user in its address: http://user@proxy.example.org:3128.</source>
            <translation>Nur für einen Proxy, der eines verlangt, für den Benutzer in seiner Adresse: http://benutzer@proxy.example.org:3128.</translation>
        </message>
        <message>
            <source>Only the download needs the network. Without one, bring a model folder or a .gguf file from another computer and open it in the library.</source>
            <translation>Nur das Herunterladen braucht das Netz. Ohne Netz bringe einen Modellordner oder eine .gguf-Datei von einem anderen Rechner mit und öffne sie in der Bibliothek.</translation>
        </message>
        <message>
            <source>Only the most likely words that together reach this probability are drawn from.</source>
            <translation>Gezogen wird nur aus den wahrscheinlichsten Wörtern, die zusammen diese Wahrscheinlichkeit erreichen.</translation>
        </message>
        <message>
            <source>Only this many of the most likely words; 0 means no limit.</source>
            <translation>Nur so viele der wahrscheinlichsten Wörter; 0 heißt unbegrenzt.</translation>
        </message>
        <message>
            <source>Open</source>
            <translation>Öffnen</translation>
        </message>
        <message>
            <source>Open a link</source>
            <translation>Einen Link öffnen</translation>
        </message>
        <message>
            <source>Open a model that is on this machine</source>
            <translation>Ein Modell öffnen, das auf diesem Rechner liegt</translation>
        </message>
        <message>
            <source>Open folder</source>
            <translation>Ordner öffnen</translation>
        </message>
        <message>
            <source>Open the conversation</source>
            <translation>Unterhaltung öffnen</translation>
        </message>
        <message>
            <source>Open the folder of logs</source>
            <translation>Ordner der Protokolle öffnen</translation>
        </message>
        <message>
            <source>Open the library</source>
            <translation>Bibliothek öffnen</translation>
        </message>
        <message>
            <source>Open the settings</source>
            <translation>Einstellungen öffnen</translation>
        </message>
        <message>
            <source>Open this address in your browser?</source>
            <translation>Diese Adresse im Browser öffnen?</translation>
        </message>
        <message>
            <source>Open with this context</source>
            <translation>Mit diesem Kontext öffnen</translation>
        </message>
        <message>
            <source>Open {address} in your browser, log in, and accept the terms. Some authors approve by hand.</source>
            <translation>Öffne {address} im Browser, melde dich an und nimm die Bedingungen an. Manche Urheber geben von Hand frei.</translation>
        </message>
        <message>
            <source>Open; open or close a folder</source>
            <translation>Öffnen; Ordner auf- oder zuklappen</translation>
        </message>
        <message>
            <source>Opens what happens when it is full</source>
            <translation>Zeigt, was geschieht, wenn er voll ist</translation>
        </message>
        <message>
            <source>Open…</source>
            <translation>Öffnen …</translation>
        </message>
        <message>
            <source>Or drop a folder or a .gguf file here</source>
            <translation>Oder lass hier einen Ordner oder eine .gguf-Datei fallen</translation>
        </message>
        <message>
            <source>Or try this one first</source>
            <translation>Oder probiere zuerst dieses</translation>
        </message>
        <message>
            <source>Order</source>
            <translation>Reihenfolge</translation>
        </message>
        <message>
            <source>Original</source>
            <translation>Original</translation>
        </message>
        <message>
            <source>Other machines are let in, without encryption. They write: {addresses}</source>
            <translation>Andere Rechner sind zugelassen, unverschlüsselt. Sie schreiben: {addresses}</translation>
        </message>
        <message>
            <source>Other programs find the server under this number. From 1024 on any program may use one.</source>
            <translation>Unter dieser Nummer finden andere Programme den Server. Ab 1024 darf jedes Programm eine benutzen.</translation>
        </message>
        <message>
            <source>Other programs hold there: {list}.</source>
            <translation>Andere Programme belegen dort: {list}.</translation>
        </message>
        <message>
            <source>Other programs use the models through the OpenAI interface. They share them with this window.</source>
            <translation>Andere Programme benutzen die Modelle über die OpenAI-Schnittstelle. Sie teilen sie mit diesem Fenster.</translation>
        </message>
        <message>
            <source>Outcome of the test</source>
            <translation>Ergebnis der Prüfung</translation>
        </message>
        <message>
            <source>Own licence</source>
            <translation>Eigene Lizenz</translation>
        </message>
        <message>
            <source>Own settings</source>
            <translation>Eigene Einstellungen</translation>
        </message>
        <message>
            <source>Package with a model</source>
            <translation>Paket mit einem Modell</translation>
        </message>
        <message>
            <source>Pages</source>
            <translation>Seiten</translation>
        </message>
        <message>
            <source>Pages of {name} that the model reads, such as 1-5, 8 (empty: all {count})</source>
            <translation>Seiten von {name}, die das Modell liest, etwa 1-5, 8 (leer: alle {count})</translation>
        </message>
        <message>
            <source>Part of a file of a model</source>
            <translation>Teil einer Datei eines Modells</translation>
        </message>
        <message>
            <source>Parts of the library</source>
            <translation>Teile der Bibliothek</translation>
        </message>
        <message>
            <source>Password of the proxy</source>
            <translation>Passwort des Proxys</translation>
        </message>
        <message>
            <source>Paste a token, for example hf_…</source>
            <translation>Token einfügen, zum Beispiel hf_…</translation>
        </message>
        <message>
            <source>Pause</source>
            <translation>Anhalten</translation>
        </message>
        <message>
            <source>Paused. What is done is kept.</source>
            <translation>Angehalten. Was fertig ist, bleibt.</translation>
        </message>
        <message>
            <source>Penalty for repeated phrases (DRY)</source>
            <translation>Strafe für wiederholte Wendungen (DRY)</translation>
        </message>
        <message>
            <source>Perplexity</source>
            <translation>Perplexität</translation>
        </message>
        <message>
            <source>Pick a model, and it is downloaded, ternarised and kept on this machine. From then on everything stays here, with no network.</source>
            <translation>Wähle ein Modell: Es wird heruntergeladen, ternarisiert und auf diesem Rechner aufbewahrt. Von da an bleibt alles hier, ganz ohne Netz.</translation>
        </message>
        <message>
            <source>Pictures cannot be read: models here read text alone.</source>
            <translation>Bilder lassen sich nicht lesen: Modelle lesen hier nur Text.</translation>
        </message>
        <message>
            <source>Pin</source>
            <translation>Anheften</translation>
        </message>
        <message>
            <source>Pinned</source>
            <translation>Angeheftet</translation>
        </message>
        <message>
            <source>Port</source>
            <translation>Port</translation>
        </message>
        <message>
            <source>Precise</source>
            <translation>Genau</translation>
        </message>
        <message>
            <source>Precision</source>
            <translation>Genauigkeit</translation>
        </message>
        <message>
            <source>Precision of the context</source>
            <translation>Genauigkeit des Kontexts</translation>
        </message>
        <message>
            <source>Prepare</source>
            <translation>Vorbereiten</translation>
        </message>
        <message>
            <source>Preset</source>
            <translation>Vorlage</translation>
        </message>
        <message>
            <source>Previous 30 days</source>
            <translation>Letzte 30 Tage</translation>
        </message>
        <message>
            <source>Previous 7 days</source>
            <translation>Letzte 7 Tage</translation>
        </message>
        <message>
            <source>Previous place</source>
            <translation>Vorige Stelle</translation>
        </message>
        <message>
            <source>Previous version</source>
            <translation>Vorige Fassung</translation>
        </message>
        <message>
            <source>Privacy</source>
            <translation>Privatsphäre</translation>
        </message>
        <message>
            <source>Processor threads</source>
            <translation>Prozessor-Threads</translation>
        </message>
        <message>
            <source>Program</source>
            <translation>Programm</translation>
        </message>
        <message>
            <source>Programs on this machine can use the models through the OpenAI interface while the window is open.</source>
            <translation>Programme auf diesem Rechner können die Modelle über die OpenAI-Schnittstelle benutzen, solange das Fenster offen ist.</translation>
        </message>
        <message>
            <source>Programs that were set up with the old token are refused until they have the new one.</source>
            <translation>Programme, die mit dem alten Token eingerichtet sind, werden abgewiesen, bis sie das neue haben.</translation>
        </message>
        <message>
            <source>Progress of the export</source>
            <translation>Fortschritt des Exports</translation>
        </message>
        <message>
            <source>Progress of the import</source>
            <translation>Fortschritt des Imports</translation>
        </message>
        <message>
            <source>Progress of {name}</source>
            <translation>Fortschritt von {name}</translation>
        </message>
        <message>
            <source>Prompt: {count} tokens</source>
            <translation>Eingabe: {count} Token</translation>
        </message>
        <message>
            <source>Proxy</source>
            <translation>Proxy</translation>
        </message>
        <message>
            <source>Purpose</source>
            <translation>Zweck</translation>
        </message>
        <message>
            <source>Put before every new conversation.</source>
            <translation>Steht am Anfang jeder neuen Unterhaltung.</translation>
        </message>
        <message>
            <source>Put it into the message</source>
            <translation>In die Nachricht setzen</translation>
        </message>
        <message>
            <source>Put it into the settings under Network, as the Hugging Face token. It is kept in the system's key ring.</source>
            <translation>Trage es in den Einstellungen unter „Netzwerk“ als Hugging-Face-Token ein. Es liegt dann im Schlüsselbund des Systems.</translation>
        </message>
        <message>
            <source>PyPI package {name}</source>
            <translation>PyPI-Paket {name}</translation>
        </message>
        <message>
            <source>Quality against size</source>
            <translation>Qualität gegen Größe</translation>
        </message>
        <message>
            <source>Quality not known</source>
            <translation>Qualität unbekannt</translation>
        </message>
        <message>
            <source>Quit</source>
            <translation>Beenden</translation>
        </message>
        <message>
            <source>Reading the files…</source>
            <translation>Dateien werden gelesen …</translation>
        </message>
        <message>
            <source>Reading the file…</source>
            <translation>Datei wird gelesen …</translation>
        </message>
        <message>
            <source>Reading the prompt</source>
            <translation>Liest die Eingabe</translation>
        </message>
        <message>
            <source>Reading what the model is…</source>
            <translation>Es wird gelesen, was das Modell ist …</translation>
        </message>
        <message>
            <source>Reading {done} of {total} tokens · {percent} %</source>
            <translation>Liest {done} von {total} Token · {percent} %</translation>
        </message>
        <message>
            <source>Reading {done} of {total} tokens · {percent} % · about {time} left</source>
            <translation>Liest {done} von {total} Token · {percent} % · noch etwa {time}</translation>
        </message>
        <message>
            <source>Reading {percent} %…</source>
            <translation>Wird gelesen: {percent} % …</translation>
        </message>
        <message>
            <source>Reading…</source>
            <translation>Wird gelesen …</translation>
        </message>
        <message>
            <source>Ready within minutes.</source>
            <translation>In wenigen Minuten bereit.</translation>
        </message>
        <message>
            <source>Receipt</source>
            <translation>Beleg</translation>
        </message>
        <message>
            <source>Receipt of {id}</source>
            <translation>Beleg von {id}</translation>
        </message>
        <message>
            <source>Receipt of {name}</source>
            <translation>Beleg von {name}</translation>
        </message>
        <message>
            <source>Recent requests</source>
            <translation>Letzte Anfragen</translation>
        </message>
        <message>
            <source>Recommended</source>
            <translation>Empfohlen</translation>
        </message>
        <message>
            <source>Regenerate</source>
            <translation>Neu antworten</translation>
        </message>
        <message>
            <source>Remove</source>
            <translation>Entfernen</translation>
        </message>
        <message>
            <source>Remove {name}</source>
            <translation>{name} entfernen</translation>
        </message>
        <message>
            <source>Remove: {name}</source>
            <translation>Entfernen: {name}</translation>
        </message>
        <message>
            <source>Rename</source>
            <translation>Umbenennen</translation>
        </message>
        <message>
            <source>Rename conversation</source>
            <translation>Unterhaltung umbenennen</translation>
        </message>
        <message>
            <source>Rename folder</source>
            <translation>Ordner umbenennen</translation>
        </message>
        <message>
            <source>Rename preset</source>
            <translation>Vorlage umbenennen</translation>
        </message>
        <message>
            <source>Rename…</source>
            <translation>Umbenennen …</translation>
        </message>
        <message>
            <source>Repetition penalty</source>
            <translation>Strafe für Wiederholungen</translation>
        </message>
        <message>
            <source>Report a problem</source>
            <translation>Problem melden</translation>
        </message>
        <message>
            <source>Report a problem…</source>
            <translation>Problem melden …</translation>
        </message>
        <message>
            <source>Requests</source>
            <translation>Anfragen</translation>
        </message>
        <message>
            <source>Requests that went out</source>
            <translation>Anfragen, die hinausgingen</translation>
        </message>
        <message>
            <source>Reset</source>
            <translation>Zurücksetzen</translation>
        </message>
        <message>
            <source>Reset all</source>
            <translation>Alle zurücksetzen</translation>
        </message>
        <message>
            <source>Reset {name}</source>
            <translation>{name} zurücksetzen</translation>
        </message>
        <message>
            <source>Restore</source>
            <translation>Wiederherstellen</translation>
        </message>
        <message>
            <source>Resume</source>
            <translation>Fortsetzen</translation>
        </message>
        <message>
            <source>Resume all</source>
            <translation>Alle fortsetzen</translation>
        </message>
        <message>
            <source>Room for about {count} more tokens of questions and answers.</source>
            <translation>Noch Platz für etwa {count} Token an Fragen und Antworten.</translation>
        </message>
        <message>
            <source>Route</source>
            <translation>Pfad</translation>
        </message>
        <message>
            <source>Running</source>
            <translation>Laufend</translation>
        </message>
        <message>
            <source>Same next word</source>
            <translation>Gleiches nächstes Wort</translation>
        </message>
        <message>
            <source>Sample answers</source>
            <translation>Beispielantworten</translation>
        </message>
        <message>
            <source>Save</source>
            <translation>Speichern</translation>
        </message>
        <message>
            <source>Save as a new version</source>
            <translation>Als neue Fassung speichern</translation>
        </message>
        <message>
            <source>Save as a preset</source>
            <translation>Als Vorlage speichern</translation>
        </message>
        <message>
            <source>Save the report</source>
            <translation>Bericht speichern</translation>
        </message>
        <message>
            <source>Save the report…</source>
            <translation>Bericht speichern …</translation>
        </message>
        <message>
            <source>Save: {name}</source>
            <translation>Speichern: {name}</translation>
        </message>
        <message>
            <source>Saved as {file}.</source>
            <translation>Gespeichert als {file}.</translation>
        </message>
        <message>
            <source>Say something else instead</source>
            <translation>Stattdessen etwas anderes sagen</translation>
        </message>
        <message>
            <source>Search</source>
            <translation>Suchen</translation>
        </message>
        <message>
            <source>Search Hugging Face, or type org/name</source>
            <translation>Hugging Face durchsuchen oder org/name eingeben</translation>
        </message>
        <message>
            <source>Search conversations</source>
            <translation>Unterhaltungen durchsuchen</translation>
        </message>
        <message>
            <source>Search for models</source>
            <translation>Modelle suchen</translation>
        </message>
        <message>
            <source>Search settings</source>
            <translation>Einstellungen durchsuchen</translation>
        </message>
        <message>
            <source>Searching Hugging Face…</source>
            <translation>Hugging Face wird durchsucht …</translation>
        </message>
        <message>
            <source>Searching for models and fetching them go out to the hub, and every request will be listed here.</source>
            <translation>Modelle zu suchen und zu holen geht hinaus zum Hub, und jede Anfrage wird hier stehen.</translation>
        </message>
        <message>
            <source>Searching…</source>
            <translation>Wird gesucht …</translation>
        </message>
        <message>
            <source>See all models</source>
            <translation>Alle Modelle ansehen</translation>
        </message>
        <message>
            <source>See recommended models</source>
            <translation>Empfohlene Modelle ansehen</translation>
        </message>
        <message>
            <source>Seed</source>
            <translation>Startwert</translation>
        </message>
        <message>
            <source>Send</source>
            <translation>Senden</translation>
        </message>
        <message>
            <source>Send with</source>
            <translation>Senden mit</translation>
        </message>
        <message>
            <source>September</source>
            <translation>September</translation>
        </message>
        <message>
            <source>Server</source>
            <translation>Server</translation>
        </message>
        <message>
            <source>Server for other programs</source>
            <translation>Server für andere Programme</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>Einstellungen</translation>
        </message>
        <message>
            <source>Shortcuts, logs, about this program</source>
            <translation>Tastenkürzel, Protokolle, über dieses Programm</translation>
        </message>
        <message>
            <source>Show</source>
            <translation>Zeigen</translation>
        </message>
        <message>
            <source>Show all ({size})</source>
            <translation>Alles zeigen ({size})</translation>
        </message>
        <message>
            <source>Show all of it</source>
            <translation>Alles zeigen</translation>
        </message>
        <message>
            <source>Show all {count} lines</source>
            <translation>Alle {count} Zeilen zeigen</translation>
        </message>
        <message>
            <source>Show more of {count} lines</source>
            <translation>Mehr von {count} Zeilen zeigen</translation>
        </message>
        <message>
            <source>Show or hide the list of conversations</source>
            <translation>Liste der Unterhaltungen ein- oder ausblenden</translation>
        </message>
        <message>
            <source>Show the jobs</source>
            <translation>Aufträge zeigen</translation>
        </message>
        <message>
            <source>Show the list</source>
            <translation>Liste zeigen</translation>
        </message>
        <message>
            <source>Show the log</source>
            <translation>Protokoll zeigen</translation>
        </message>
        <message>
            <source>Show the server</source>
            <translation>Server zeigen</translation>
        </message>
        <message>
            <source>Show the summary that the model reads in their place</source>
            <translation>Die Zusammenfassung zeigen, die das Modell an ihrer Stelle liest</translation>
        </message>
        <message>
            <source>Show the text of {name}</source>
            <translation>Den Text von {name} zeigen</translation>
        </message>
        <message>
            <source>Show the token</source>
            <translation>Token zeigen</translation>
        </message>
        <message>
            <source>Show the trash</source>
            <translation>Papierkorb zeigen</translation>
        </message>
        <message>
            <source>Show {name}</source>
            <translation>{name} zeigen</translation>
        </message>
        <message>
            <source>Size of the text (%)</source>
            <translation>Schriftgröße (%)</translation>
        </message>
        <message>
            <source>Small</source>
            <translation>Klein</translation>
        </message>
        <message>
            <source>Smaller text</source>
            <translation>Kleinere Schrift</translation>
        </message>
        <message>
            <source>Smallest</source>
            <translation>Am kleinsten</translation>
        </message>
        <message>
            <source>Something went wrong</source>
            <translation>Etwas ist schiefgegangen</translation>
        </message>
        <message>
            <source>Something went wrong: {reason}. Your conversations are safe.</source>
            <translation>Etwas ist schiefgegangen: {reason}. Deine Unterhaltungen sind sicher.</translation>
        </message>
        <message>
            <source>Speed of answers</source>
            <translation>Tempo der Antworten</translation>
        </message>
        <message>
            <source>Speed: {rate}</source>
            <translation>Tempo: {rate}</translation>
        </message>
        <message>
            <source>Start it again</source>
            <translation>Neu starten</translation>
        </message>
        <message>
            <source>Started on this machine; in its settings the same goes under Connections, OpenAI API.</source>
            <translation>Auf diesem Rechner gestartet; in seinen Einstellungen gehört dasselbe unter „Connections, OpenAI API“.</translation>
        </message>
        <message>
            <source>Starting</source>
            <translation>Startet</translation>
        </message>
        <message>
            <source>State of the server</source>
            <translation>Zustand des Servers</translation>
        </message>
        <message>
            <source>State: {name}</source>
            <translation>Zustand: {name}</translation>
        </message>
        <message>
            <source>Status</source>
            <translation>Status</translation>
        </message>
        <message>
            <source>Stop</source>
            <translation>Stoppen</translation>
        </message>
        <message>
            <source>Stop and ask</source>
            <translation>Anhalten und fragen</translation>
        </message>
        <message>
            <source>Stop the answer; back to the message field</source>
            <translation>Antwort stoppen; zurück zum Nachrichtenfeld</translation>
        </message>
        <message>
            <source>Stopped.</source>
            <translation>Gestoppt.</translation>
        </message>
        <message>
            <source>Stopped: nothing of this file was kept.</source>
            <translation>Gestoppt: Aus dieser Datei wurde nichts übernommen.</translation>
        </message>
        <message>
            <source>Stored for each weight of the projections; the original's usually have 16.</source>
            <translation>Für jedes Gewicht der Projektionen gespeichert; beim Original sind es meist 16.</translation>
        </message>
        <message>
            <source>Summarise the oldest</source>
            <translation>Älteste zusammenfassen</translation>
        </message>
        <message>
            <source>Summarise the oldest messages</source>
            <translation>Die ältesten Nachrichten zusammenfassen</translation>
        </message>
        <message>
            <source>Summarising the oldest messages · {percent} %</source>
            <translation>Die ältesten Nachrichten werden zusammengefasst · {percent} %</translation>
        </message>
        <message>
            <source>Summary of the messages above</source>
            <translation>Zusammenfassung der Nachrichten darüber</translation>
        </message>
        <message>
            <source>System</source>
            <translation>System</translation>
        </message>
        <message>
            <source>System prompt</source>
            <translation>Systemvorgabe</translation>
        </message>
        <message>
            <source>System prompt and sampling</source>
            <translation>Systemvorgabe und Wortwahl</translation>
        </message>
        <message>
            <source>Table</source>
            <translation>Tabelle</translation>
        </message>
        <message>
            <source>Take off the list</source>
            <translation>Von der Liste nehmen</translation>
        </message>
        <message>
            <source>Take the job off the list</source>
            <translation>Auftrag von der Liste nehmen</translation>
        </message>
        <message>
            <source>Takes a few minutes for a small model. The original is needed for it: if it is not on this machine any more, it is fetched again.</source>
            <translation>Dauert bei einem kleinen Modell ein paar Minuten. Das Original wird dafür gebraucht: Ist es nicht mehr auf diesem Rechner, wird es noch einmal geholt.</translation>
        </message>
        <message>
            <source>Takes effect at the next start.</source>
            <translation>Gilt ab dem nächsten Start.</translation>
        </message>
        <message>
            <source>Takes effect when the engine starts next.</source>
            <translation>Gilt, sobald die Engine das nächste Mal startet.</translation>
        </message>
        <message>
            <source>Takes {less} of disk at most instead of {more}.</source>
            <translation>Braucht höchstens {less} auf der Platte statt {more}.</translation>
        </message>
        <message>
            <source>Takes {less} of disk at most instead of {more}; they are fetched {times} times.</source>
            <translation>Braucht höchstens {less} auf der Platte statt {more}; sie werden {times}-mal geholt.</translation>
        </message>
        <message>
            <source>Tell me when a job ends</source>
            <translation>Melden, wenn ein Auftrag endet</translation>
        </message>
        <message>
            <source>Temperature</source>
            <translation>Temperatur</translation>
        </message>
        <message>
            <source>Ternarise</source>
            <translation>Ternarisieren</translation>
        </message>
        <message>
            <source>Ternarising</source>
            <translation>Ternarisiert</translation>
        </message>
        <message>
            <source>Ternary-Zero is already running but does not answer; close it first</source>
            <translation>Ternary-Zero läuft bereits, antwortet aber nicht; beende es zuerst</translation>
        </message>
        <message>
            <source>Ternary-Zero was not closed properly the last time. Everything that was said up to then is kept.</source>
            <translation>Ternary-Zero wurde beim letzten Mal nicht ordentlich beendet. Alles, was bis dahin gesagt wurde, ist noch da.</translation>
        </message>
        <message>
            <source>Test of the connection</source>
            <translation>Prüfung der Verbindung</translation>
        </message>
        <message>
            <source>Test the connection</source>
            <translation>Verbindung prüfen</translation>
        </message>
        <message>
            <source>Text in its usual size</source>
            <translation>Schrift in üblicher Größe</translation>
        </message>
        <message>
            <source>Text of {name}</source>
            <translation>Text von {name}</translation>
        </message>
        <message>
            <source>The answer cannot be saved now. It is kept in memory, and saved as soon as that works: please make room on the disk before you close the window. {reason}</source>
            <translation>Die Antwort lässt sich gerade nicht speichern. Sie bleibt im Speicher und wird gesichert, sobald es geht: Schaffe bitte Platz auf der Platte, bevor du das Fenster schließt. {reason}</translation>
        </message>
        <message>
            <source>The answer ends here because it reached the length limit.</source>
            <translation>Die Antwort endet hier, weil sie die Längengrenze erreicht hat.</translation>
        </message>
        <message>
            <source>The answer ends here because the context is full. The gauge below can let the next one go on.</source>
            <translation>Die Antwort endet hier, weil der Kontext voll ist. Über die Anzeige unten kann die nächste weitergehen.</translation>
        </message>
        <message>
            <source>The answer ends there; nothing is left out.</source>
            <translation>Die Antwort endet dort; nichts wird weggelassen.</translation>
        </message>
        <message>
            <source>The answer is saved now.</source>
            <translation>Die Antwort ist jetzt gespeichert.</translation>
        </message>
        <message>
            <source>The answer was interrupted before it was finished.</source>
            <translation>Die Antwort wurde unterbrochen, bevor sie fertig war.</translation>
        </message>
        <message>
            <source>The answer: {text}</source>
            <translation>Die Antwort: {text}</translation>
        </message>
        <message>
            <source>The archive holds no conversations.json.</source>
            <translation>Das Archiv enthält keine conversations.json.</translation>
        </message>
        <message>
            <source>The bits of a weight are a number from 1 to 16.</source>
            <translation>Die Bit eines Gewichts sind eine Zahl von 1 bis 16.</translation>
        </message>
        <message>
            <source>The choice holds for all models.</source>
            <translation>Die Wahl gilt für alle Modelle.</translation>
        </message>
        <message>
            <source>The common four-bit format, for comparison.</source>
            <translation>Das verbreitete Vier-Bit-Format, zum Vergleich.</translation>
        </message>
        <message>
            <source>The context and the precision that the engine chooses by itself</source>
            <translation>Kontext und Genauigkeit, die die Engine selbst wählt</translation>
        </message>
        <message>
            <source>The context was full: the model went on without {tokens} tokens from the middle of the text.</source>
            <translation>Der Kontext war voll: Das Modell schrieb ohne {tokens} Token aus der Mitte des Textes weiter.</translation>
        </message>
        <message>
            <source>The conversation does not fit into the context. {reason}.</source>
            <translation>Die Unterhaltung passt nicht in den Kontext. {reason}.</translation>
        </message>
        <message>
            <source>The conversation no longer fits into the context.</source>
            <translation>Die Unterhaltung passt nicht mehr in den Kontext.</translation>
        </message>
        <message>
            <source>The conversations cannot be read: {reason}</source>
            <translation>Die Unterhaltungen lassen sich nicht lesen: {reason}</translation>
        </message>
        <message>
            <source>The conversations cannot be saved: {detail}</source>
            <translation>Die Unterhaltungen lassen sich nicht speichern: {detail}</translation>
        </message>
        <message>
            <source>The conversations not used for the longest time make room.</source>
            <translation>Die am längsten nicht benutzten Unterhaltungen machen Platz.</translation>
        </message>
        <message>
            <source>The conversion cannot be started: {reason}</source>
            <translation>Das Ternarisieren lässt sich nicht starten: {reason}</translation>
        </message>
        <message>
            <source>The conversion ended with exit code {code}.</source>
            <translation>Das Ternarisieren endete mit Code {code}.</translation>
        </message>
        <message>
            <source>The conversion was killed, perhaps for lack of memory; Retry goes on from where it was.</source>
            <translation>Das Ternarisieren wurde abgewürgt, vielleicht aus Speichermangel; „Noch einmal“ macht dort weiter, wo es war.</translation>
        </message>
        <message>
            <source>The database cannot be written: {reason}</source>
            <translation>Die Datenbank lässt sich nicht schreiben: {reason}</translation>
        </message>
        <message>
            <source>The engine answered with status {status}.</source>
            <translation>Die Engine antwortete mit Status {status}.</translation>
        </message>
        <message>
            <source>The engine cannot be started: {reason}</source>
            <translation>Die Engine lässt sich nicht starten: {reason}</translation>
        </message>
        <message>
            <source>The engine stopped unexpectedly and was restarted; the answer so far is kept.</source>
            <translation>Die Engine ist unerwartet stehen geblieben und wurde neu gestartet; die Antwort bis hierher ist noch da.</translation>
        </message>
        <message>
            <source>The engine stopped unexpectedly.</source>
            <translation>Die Engine ist unerwartet stehen geblieben.</translation>
        </message>
        <message>
            <source>The engine stopped unexpectedly; the answer so far is kept.</source>
            <translation>Die Engine ist unerwartet stehen geblieben; die Antwort bis hierher ist noch da.</translation>
        </message>
        <message>
            <source>The engine stopped {count} times in a row: {reason}. Its log is {log}.</source>
            <translation>Die Engine ist {count}-mal hintereinander stehen geblieben: {reason}. Ihr Protokoll ist {log}.</translation>
        </message>
        <message>
            <source>The engine's answer cannot be understood.</source>
            <translation>Die Antwort der Engine ist nicht zu verstehen.</translation>
        </message>
        <message>
            <source>The file cannot be read: {detail}</source>
            <translation>Die Datei lässt sich nicht lesen: {detail}</translation>
        </message>
        <message>
            <source>The file holds more than {detail} when unpacked; that is not read.</source>
            <translation>Die Datei enthält ausgepackt mehr als {detail}; das wird nicht gelesen.</translation>
        </message>
        <message>
            <source>The file is nested too deeply to be an export of conversations.</source>
            <translation>Die Datei ist zu tief verschachtelt, um ein Export von Unterhaltungen zu sein.</translation>
        </message>
        <message>
            <source>The file was written by a newer version of this program: update the program to import it.</source>
            <translation>Die Datei stammt von einer neueren Version dieses Programms: Aktualisiere es, um sie zu importieren.</translation>
        </message>
        <message>
            <source>The file with your conversations is damaged ({reason}). Close this window and open it again: what can be restored will be restored then.</source>
            <translation>Die Datei mit deinen Unterhaltungen ist beschädigt ({reason}). Schließe dieses Fenster und öffne es neu: Was sich wiederherstellen lässt, wird dann wiederhergestellt.</translation>
        </message>
        <message>
            <source>The file with your conversations was damaged and there was no backup yet. {total} conversations with {added} messages could still be read from it. The damaged file is kept as {name}.</source>
            <translation>Die Datei mit deinen Unterhaltungen war beschädigt, und es gab noch keine Sicherung. {total} Unterhaltungen mit {added} Nachrichten ließen sich noch daraus lesen. Die beschädigte Datei liegt als {name} bereit.</translation>
        </message>
        <message>
            <source>The file with your conversations was damaged, there was no backup yet, and nothing could be read from it. It is kept as {name}; a new one was begun.</source>
            <translation>Die Datei mit deinen Unterhaltungen war beschädigt, es gab noch keine Sicherung, und nichts ließ sich daraus lesen. Sie liegt als {name} bereit; eine neue wurde begonnen.</translation>
        </message>
        <message>
            <source>The file with your conversations was damaged. The backup of {time} with {restored} conversations was restored, and {added} later messages could still be read from the damaged file: {total} conversations now. The damaged file is kept as {name}.</source>
            <translation>Die Datei mit deinen Unterhaltungen war beschädigt. Die Sicherung vom {time} mit {restored} Unterhaltungen wurde wiederhergestellt, und {added} spätere Nachrichten ließen sich noch aus der beschädigten Datei lesen: jetzt {total} Unterhaltungen. Die beschädigte Datei liegt als {name} bereit.</translation>
        </message>
        <message>
            <source>The file with your conversations was damaged. The backup of {time} with {restored} conversations was restored; messages written after it may be missing. The damaged file is kept as {name}.</source>
            <translation>Die Datei mit deinen Unterhaltungen war beschädigt. Die Sicherung vom {time} mit {restored} Unterhaltungen wurde wiederhergestellt; später geschriebene Nachrichten können fehlen. Die beschädigte Datei liegt als {name} bereit.</translation>
        </message>
        <message>
            <source>The folder “{name}” was deleted. Its conversations are kept.</source>
            <translation>Der Ordner „{name}“ wurde gelöscht. Seine Unterhaltungen sind noch da.</translation>
        </message>
        <message>
            <source>The full-screen program is over: work goes on.</source>
            <translation>Das Vollbildprogramm ist zu Ende: Die Arbeit geht weiter.</translation>
        </message>
        <message>
            <source>The hub does not answer. Is this computer connected to the internet?</source>
            <translation>Der Hub antwortet nicht. Ist dieser Rechner mit dem Internet verbunden?</translation>
        </message>
        <message>
            <source>The hub does not say what family this model is of.</source>
            <translation>Der Hub sagt nicht, zu welcher Familie dieses Modell gehört.</translation>
        </message>
        <message>
            <source>The hub is being asked…</source>
            <translation>Der Hub wird gefragt …</translation>
        </message>
        <message>
            <source>The hub knows this token: it belongs to {name}.</source>
            <translation>Der Hub kennt dieses Token: Es gehört {name}.</translation>
        </message>
        <message>
            <source>The hub's answer cannot be read.</source>
            <translation>Die Antwort des Hub ist nicht zu lesen.</translation>
        </message>
        <message>
            <source>The import ended before it was done; nothing of it was kept.</source>
            <translation>Der Import endete, bevor er fertig war; nichts davon wurde übernommen.</translation>
        </message>
        <message>
            <source>The import was complete before it could be stopped.</source>
            <translation>Der Import war fertig, bevor er sich stoppen ließ.</translation>
        </message>
        <message>
            <source>The key ring of this system cannot be used ({reason}).</source>
            <translation>Der Schlüsselbund dieses Systems lässt sich nicht benutzen ({reason}).</translation>
        </message>
        <message>
            <source>The largest natively ternary model that your graphics card runs with room to spare: nothing is lost, and it is ready minutes after the download.</source>
            <translation>Das größte von Haus aus ternäre Modell, das deine Grafikkarte mit Luft nach oben betreibt: Nichts geht verloren, und es ist Minuten nach dem Herunterladen bereit.</translation>
        </message>
        <message>
            <source>The last conversation</source>
            <translation>Die letzte Unterhaltung</translation>
        </message>
        <message>
            <source>The library</source>
            <translation>Die Bibliothek</translation>
        </message>
        <message>
            <source>The list of installed models cannot be read.</source>
            <translation>Die Liste der installierten Modelle ist nicht zu lesen.</translation>
        </message>
        <message>
            <source>The list of jobs was damaged and begins anew; the old file is {file}. What was converted is kept: order a model again and it goes on from where it was.</source>
            <translation>Die Liste der Aufträge war beschädigt und beginnt neu; die alte Datei ist {file}. Was ternarisiert wurde, bleibt: Bestelle ein Modell noch einmal, und es geht dort weiter, wo es war.</translation>
        </message>
        <message>
            <source>The list of what went out is deleted for good.</source>
            <translation>Die Liste dessen, was hinausging, wird endgültig gelöscht.</translation>
        </message>
        <message>
            <source>The long text that you pasted is attached as a file.</source>
            <translation>Der lange Text, den du eingefügt hast, hängt als Datei an.</translation>
        </message>
        <message>
            <source>The message above is not read by the model any more ({tokens} tokens)</source>
            <translation>Die Nachricht darüber liest das Modell nicht mehr ({tokens} Token)</translation>
        </message>
        <message>
            <source>The message above is summarised for the model ({tokens} tokens less to read)</source>
            <translation>Die Nachricht darüber ist für das Modell zusammengefasst ({tokens} Token weniger zu lesen)</translation>
        </message>
        <message>
            <source>The message at the beginning is not read by the model any more ({tokens} tokens).</source>
            <translation>Die Nachricht am Anfang liest das Modell nicht mehr ({tokens} Token).</translation>
        </message>
        <message>
            <source>The message at the beginning is summarised for the model ({tokens} tokens less to read).</source>
            <translation>Die Nachricht am Anfang ist für das Modell zusammengefasst ({tokens} Token weniger zu lesen).</translation>
        </message>
        <message>
            <source>The model catalogue {path} is damaged ({reason}); reinstall the program</source>
            <translation>Der Modellkatalog {path} ist beschädigt ({reason}); installiere das Programm neu</translation>
        </message>
        <message>
            <source>The model ended its answer without saying anything.</source>
            <translation>Das Modell hat seine Antwort beendet, ohne etwas zu sagen.</translation>
        </message>
        <message>
            <source>The model folder {path} cannot be reached ({reason}); models in it are not shown.</source>
            <translation>Der Modellordner {path} ist nicht erreichbar ({reason}); Modelle darin werden nicht gezeigt.</translation>
        </message>
        <message>
            <source>The model goes on from a summary that it writes of them.</source>
            <translation>Das Modell fährt mit einer Zusammenfassung fort, die es von ihnen schreibt.</translation>
        </message>
        <message>
            <source>The model is not installed any more.</source>
            <translation>Das Modell ist nicht mehr installiert.</translation>
        </message>
        <message>
            <source>The model that answers</source>
            <translation>Das Modell, das antwortet</translation>
        </message>
        <message>
            <source>The model was made for {count} tokens.</source>
            <translation>Das Modell ist für {count} Token gemacht.</translation>
        </message>
        <message>
            <source>The model's own quality</source>
            <translation>Die Qualität des Modells selbst</translation>
        </message>
        <message>
            <source>The model's own: {value}</source>
            <translation>Vom Modell: {value}</translation>
        </message>
        <message>
            <source>The one below</source>
            <translation>Der unten genannte</translation>
        </message>
        <message>
            <source>The original ({size}) stays in the Hugging Face cache, which other programs use too: {path}</source>
            <translation>Das Original ({size}) bleibt im Zwischenspeicher von Hugging Face, den auch andere Programme benutzen: {path}</translation>
        </message>
        <message>
            <source>The original stays: {models} was made from it too.</source>
            <translation>Das Original bleibt: Auch {models} wurde daraus gemacht.</translation>
        </message>
        <message>
            <source>The original weights, for comparison.</source>
            <translation>Die ursprünglichen Gewichte, zum Vergleich.</translation>
        </message>
        <message>
            <source>The other of the two makes a new line, as Shift+Enter does.</source>
            <translation>Die andere der beiden macht eine neue Zeile, wie Umschalt+Eingabe.</translation>
        </message>
        <message>
            <source>The plan cannot be read: {reason}</source>
            <translation>Der Plan ist nicht zu lesen: {reason}</translation>
        </message>
        <message>
            <source>The program was closed while this was under way.</source>
            <translation>Das Programm wurde beendet, während dies lief.</translation>
        </message>
        <message>
            <source>The receipt of this model cannot be read.</source>
            <translation>Der Beleg dieses Modells ist nicht zu lesen.</translation>
        </message>
        <message>
            <source>The same as the original: its weights were not quantised.</source>
            <translation>Wie das Original: Seine Gewichte wurden nicht quantisiert.</translation>
        </message>
        <message>
            <source>The same as the original: its weights were ternary before.</source>
            <translation>Wie das Original: Seine Gewichte waren schon ternär.</translation>
        </message>
        <message>
            <source>The same questions to both</source>
            <translation>Dieselben Fragen an beide</translation>
        </message>
        <message>
            <source>The same seed and settings give the same answer.</source>
            <translation>Gleicher Startwert und gleiche Einstellungen ergeben die gleiche Antwort.</translation>
        </message>
        <message>
            <source>The server is being opened…</source>
            <translation>Der Server wird geöffnet …</translation>
        </message>
        <message>
            <source>The server is off.</source>
            <translation>Der Server ist aus.</translation>
        </message>
        <message>
            <source>The server is off: no other program can reach the models.</source>
            <translation>Der Server ist aus: Kein anderes Programm erreicht die Modelle.</translation>
        </message>
        <message>
            <source>The server is on.</source>
            <translation>Der Server ist an.</translation>
        </message>
        <message>
            <source>The settings cannot be saved in {path}: {reason}</source>
            <translation>Die Einstellungen lassen sich nicht in {path} speichern: {reason}</translation>
        </message>
        <message>
            <source>The token cannot be read ({reason}). Make a new one, or unlock the key ring and switch the server on again.</source>
            <translation>Das Token ist nicht zu lesen ({reason}). Mache ein neues, oder entsperre den Schlüsselbund und schalte den Server wieder ein.</translation>
        </message>
        <message>
            <source>The token cannot be saved in {path}: {reason}</source>
            <translation>Das Token lässt sich nicht in {path} speichern: {reason}</translation>
        </message>
        <message>
            <source>The token holds until the program is closed.</source>
            <translation>Das Token gilt, bis das Programm beendet wird.</translation>
        </message>
        <message>
            <source>The trash is empty.</source>
            <translation>Der Papierkorb ist leer.</translation>
        </message>
        <message>
            <source>The {count} messages above are not read by the model any more ({tokens} tokens)</source>
            <translation>Die {count} Nachrichten darüber liest das Modell nicht mehr ({tokens} Token)</translation>
        </message>
        <message>
            <source>The {count} messages above are summarised for the model ({tokens} tokens less to read)</source>
            <translation>Die {count} Nachrichten darüber sind für das Modell zusammengefasst ({tokens} Token weniger zu lesen)</translation>
        </message>
        <message>
            <source>The {count} messages at the beginning are not read by the model any more ({tokens} tokens).</source>
            <translation>Die {count} Nachrichten am Anfang liest das Modell nicht mehr ({tokens} Token).</translation>
        </message>
        <message>
            <source>The {count} messages at the beginning are summarised for the model ({tokens} tokens less to read).</source>
            <translation>Die {count} Nachrichten am Anfang sind für das Modell zusammengefasst ({tokens} Token weniger zu lesen).</translation>
        </message>
        <message>
            <source>There are pages 1 to {count}.</source>
            <translation>Es gibt die Seiten 1 bis {count}.</translation>
        </message>
        <message>
            <source>There is no answer.</source>
            <translation>Es kommt keine Antwort.</translation>
        </message>
        <message>
            <source>There is no telemetry: only what you search for or fetch goes out, and all of it is listed.</source>
            <translation>Es gibt keine Telemetrie: Nur was du suchst oder holst, geht hinaus, und alles davon ist aufgeführt.</translation>
        </message>
        <message>
            <source>There was no answer in time. Is this computer connected to the internet?</source>
            <translation>Es kam rechtzeitig keine Antwort. Ist dieser Rechner mit dem Internet verbunden?</translation>
        </message>
        <message>
            <source>These texts help to find out what went wrong. Tokens, names and addresses are taken out, and no conversation is in it. Look through them, save them as one file, and attach it to your report: nothing is sent by this program.</source>
            <translation>Diese Texte helfen herauszufinden, was schiefging. Token, Namen und Adressen sind herausgenommen, und keine Unterhaltung ist darin. Sieh sie durch, speichere sie als eine Datei und hänge sie an deinen Bericht: Dieses Programm sendet nichts.</translation>
        </message>
        <message>
            <source>They stay in the chat; the model does not read them any more.</source>
            <translation>Sie bleiben in der Unterhaltung; das Modell liest sie nicht mehr.</translation>
        </message>
        <message>
            <source>Thinking</source>
            <translation>Denkt nach</translation>
        </message>
        <message>
            <source>Thinking…</source>
            <translation>Denkt nach …</translation>
        </message>
        <message>
            <source>This conversation</source>
            <translation>Diese Unterhaltung</translation>
        </message>
        <message>
            <source>This does not fit into the context: the conversation would be longer than what the model reads.</source>
            <translation>Das passt nicht in den Kontext: Die Unterhaltung wäre länger als das, was das Modell liest.</translation>
        </message>
        <message>
            <source>This frees {size}.</source>
            <translation>Das macht {size} frei.</translation>
        </message>
        <message>
            <source>This is a mistake of the program, not yours. Your conversations are safe. You can go on; if something does not work any more, close the window and open it again.</source>
            <translation>Das ist ein Fehler des Programms, nicht deiner. Deine Unterhaltungen sind sicher. Du kannst weitermachen; wenn etwas nicht mehr geht, schließe das Fenster und öffne es neu.</translation>
        </message>
        <message>
            <source>This is no JSON file, or one that was cut off: {detail}</source>
            <translation>Das ist keine JSON-Datei oder eine abgeschnittene: {detail}</translation>
        </message>
        <message>
            <source>This is no ZIP archive, or one that is damaged: {detail}</source>
            <translation>Das ist kein ZIP-Archiv oder ein beschädigtes: {detail}</translation>
        </message>
        <message>
            <source>This machine has {memory} of memory, {free} of it free, a processor {processor} and {card}.</source>
            <translation>Dieser Rechner hat {memory} Speicher, davon {free} frei, einen Prozessor {processor} und {card}.</translation>
        </message>
        <message>
            <source>This machine has {memory} of memory, {free} of it free, and a processor {processor}; no graphics card that can be used, which is no hindrance.</source>
            <translation>Dieser Rechner hat {memory} Speicher, davon {free} frei, und einen Prozessor {processor}; keine nutzbare Grafikkarte, was kein Hindernis ist.</translation>
        </message>
        <message>
            <source>This machine has {memory} of memory, {free} of it free.</source>
            <translation>Dieser Rechner hat {memory} Speicher, davon {free} frei.</translation>
        </message>
        <message>
            <source>This machine is being examined…</source>
            <translation>Dieser Rechner wird untersucht …</translation>
        </message>
        <message>
            <source>This model</source>
            <translation>Dieses Modell</translation>
        </message>
        <message>
            <source>This model asks for an account</source>
            <translation>Dieses Modell verlangt ein Konto</translation>
        </message>
        <message>
            <source>This model is not installed any more: choose another above</source>
            <translation>Dieses Modell ist nicht mehr installiert: Wähle oben ein anderes</translation>
        </message>
        <message>
            <source>This page is shown</source>
            <translation>Diese Seite wird gezeigt</translation>
        </message>
        <message>
            <source>This preset</source>
            <translation>Diese Vorlage</translation>
        </message>
        <message>
            <source>This report was made on this machine and was not sent anywhere. Tokens, passwords, names of the user and the machine, and addresses are taken out. Conversations are not in it.
</source>
            <translation>Dieser Bericht entstand auf diesem Rechner und wurde nirgendwohin gesendet. Token, Passwörter, Namen von Benutzer und Rechner und Adressen sind herausgenommen. Unterhaltungen sind nicht darin.
</translation>
        </message>
        <message>
            <source>Those that fit this machine</source>
            <translation>Die auf diesen Rechner passen</translation>
        </message>
        <message>
            <source>Thought for {time}</source>
            <translation>{time} nachgedacht</translation>
        </message>
        <message>
            <source>Thoughts</source>
            <translation>Gedanken</translation>
        </message>
        <message>
            <source>Through which the hub is asked. The engine on this machine is never spoken to through a proxy.</source>
            <translation>Über ihn wird der Hub gefragt. Mit der Engine auf diesem Rechner wird nie über einen Proxy gesprochen.</translation>
        </message>
        <message>
            <source>Time</source>
            <translation>Zeit</translation>
        </message>
        <message>
            <source>Time to convert</source>
            <translation>Dauer des Ternarisierens</translation>
        </message>
        <message>
            <source>Title</source>
            <translation>Titel</translation>
        </message>
        <message>
            <source>To download</source>
            <translation>Herunterzuladen</translation>
        </message>
        <message>
            <source>To the latest message</source>
            <translation>Zur neuesten Nachricht</translation>
        </message>
        <message>
            <source>Today</source>
            <translation>Heute</translation>
        </message>
        <message>
            <source>Token</source>
            <translation>Token</translation>
        </message>
        <message>
            <source>Token of the server</source>
            <translation>Token des Servers</translation>
        </message>
        <message>
            <source>Tokens</source>
            <translation>Token</translation>
        </message>
        <message>
            <source>Tokens/s</source>
            <translation>Token/s</translation>
        </message>
        <message>
            <source>Top-k</source>
            <translation>Top-k</translation>
        </message>
        <message>
            <source>Top-p</source>
            <translation>Top-p</translation>
        </message>
        <message>
            <source>Trained with ternary weights</source>
            <translation>Mit ternären Gewichten trainiert</translation>
        </message>
        <message>
            <source>Trash</source>
            <translation>Papierkorb</translation>
        </message>
        <message>
            <source>Trash…</source>
            <translation>Papierkorb …</translation>
        </message>
        <message>
            <source>Trending</source>
            <translation>Im Trend</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>Noch einmal</translation>
        </message>
        <message>
            <source>Tune</source>
            <translation>Abstimmen</translation>
        </message>
        <message>
            <source>Tuning</source>
            <translation>Stimmt ab</translation>
        </message>
        <message>
            <source>Turn off offline mode in the settings, then try again.</source>
            <translation>Schalte in den Einstellungen den Offline-Modus aus und versuche es noch einmal.</translation>
        </message>
        <message>
            <source>Two ternary planes. Close to the original; right for models under about 10 B.</source>
            <translation>Zwei ternäre Ebenen. Nah am Original; richtig für Modelle unter etwa 10 Mrd.</translation>
        </message>
        <message>
            <source>Type a name above and press Enter. Nothing is asked of the network before.</source>
            <translation>Gib oben einen Namen ein und drücke die Eingabetaste. Vorher wird das Netz nichts gefragt.</translation>
        </message>
        <message>
            <source>Undo</source>
            <translation>Rückgängig</translation>
        </message>
        <message>
            <source>Unload {name}</source>
            <translation>{name} entladen</translation>
        </message>
        <message>
            <source>Unload {name} (frees {size})</source>
            <translation>{name} entladen (macht {size} frei)</translation>
        </message>
        <message>
            <source>Unpin</source>
            <translation>Lösen</translation>
        </message>
        <message>
            <source>Unquantised</source>
            <translation>Unquantisiert</translation>
        </message>
        <message>
            <source>Until closed</source>
            <translation>Bis zum Beenden</translation>
        </message>
        <message>
            <source>Version</source>
            <translation>Version</translation>
        </message>
        <message>
            <source>Version {number} of {count}</source>
            <translation>Fassung {number} von {count}</translation>
        </message>
        <message>
            <source>Waiting for its turn</source>
            <translation>Wartet, bis es an der Reihe ist</translation>
        </message>
        <message>
            <source>Weighing the budget</source>
            <translation>Wägt das Budget ab</translation>
        </message>
        <message>
            <source>Weights</source>
            <translation>Gewichte</translation>
        </message>
        <message>
            <source>Weights {weights} + context {context} + workspace {workspace} = {total}</source>
            <translation>Gewichte {weights} + Kontext {context} + Arbeitsspeicher {workspace} = {total}</translation>
        </message>
        <message>
            <source>Weights {weights} + context {context} + workspace {workspace} = {total} of {free}</source>
            <translation>Gewichte {weights} + Kontext {context} + Arbeitsspeicher {workspace} = {total} von {free}</translation>
        </message>
        <message>
            <source>What can be done with it</source>
            <translation>Was sich damit tun lässt</translation>
        </message>
        <message>
            <source>What is known of the model cannot be read: {reason}</source>
            <translation>Was über das Modell bekannt ist, lässt sich nicht lesen: {reason}</translation>
        </message>
        <message>
            <source>What is the capital of France?</source>
            <translation>Was ist die Hauptstadt von Frankreich?</translation>
        </message>
        <message>
            <source>What it is, how good it is, and how it could be converted again</source>
            <translation>Was es ist, wie gut es ist und wie es noch einmal ternarisiert werden könnte</translation>
        </message>
        <message>
            <source>What it will cost</source>
            <translation>Was es kosten wird</translation>
        </message>
        <message>
            <source>What its authors say</source>
            <translation>Was die Urheber sagen</translation>
        </message>
        <message>
            <source>What left this machine</source>
            <translation>Was diesen Rechner verlassen hat</translation>
        </message>
        <message>
            <source>What the model has read is kept on the disk, so that long chats go on at once. Takes effect when the engine starts next.</source>
            <translation>Was das Modell gelesen hat, bleibt auf der Platte, damit lange Unterhaltungen sofort weitergehen. Gilt, sobald die Engine das nächste Mal startet.</translation>
        </message>
        <message>
            <source>What the model is told before everything else</source>
            <translation>Was dem Modell vor allem anderen gesagt wird</translation>
        </message>
        <message>
            <source>What the window shows when it opens.</source>
            <translation>Was das Fenster zeigt, wenn es aufgeht.</translation>
        </message>
        <message>
            <source>What was asked for</source>
            <translation>Was gefragt wurde</translation>
        </message>
        <message>
            <source>What was deleted longer ago goes for ever when the window opens.</source>
            <translation>Was länger gelöscht ist, geht beim Öffnen des Fensters endgültig weg.</translation>
        </message>
        <message>
            <source>What went out</source>
            <translation>Was hinausging</translation>
        </message>
        <message>
            <source>What would you like to know?</source>
            <translation>Was möchtest du wissen?</translation>
        </message>
        <message>
            <source>What you say next begins another branch here; the messages that followed stay.</source>
            <translation>Was du als Nächstes sagst, beginnt hier einen neuen Zweig; die folgenden Nachrichten bleiben.</translation>
        </message>
        <message>
            <source>When it is full</source>
            <translation>Wenn er voll ist</translation>
        </message>
        <message>
            <source>When the context is full</source>
            <translation>Wenn der Kontext voll ist</translation>
        </message>
        <message>
            <source>Whether both models fit into the memory is known when the first one is loaded.</source>
            <translation>Ob beide Modelle in den Speicher passen, steht fest, sobald das erste geladen ist.</translation>
        </message>
        <message>
            <source>Which recommended models are shown</source>
            <translation>Welche empfohlenen Modelle gezeigt werden</translation>
        </message>
        <message>
            <source>While a game or another full-screen program is in front, conversions wait and idle models leave memory; then all goes on by itself. Works on Windows and X11; Wayland and macOS do not tell what is in front.</source>
            <translation>Solange ein Spiel oder ein anderes Vollbildprogramm vorn ist, wartet das Ternarisieren, und unbenutzte Modelle räumen den Speicher; danach geht alles von selbst weiter. Funktioniert unter Windows und X11; Wayland und macOS verraten nicht, was vorn ist.</translation>
        </message>
        <message>
            <source>Who is connected, what was asked, and how to set up other programs.</source>
            <translation>Wer verbunden ist, was gefragt wurde und wie man andere Programme einrichtet.</translation>
        </message>
        <message>
            <source>Whoever is in your network and has the token can use your models. The connection is not encrypted.</source>
            <translation>Wer in deinem Netzwerk ist und das Token hat, kann deine Modelle benutzen. Die Verbindung ist nicht verschlüsselt.</translation>
        </message>
        <message>
            <source>With the package openai (npm install openai), in Node.</source>
            <translation>Mit dem Paket openai (npm install openai), in Node.</translation>
        </message>
        <message>
            <source>With the package openai (pip install openai).</source>
            <translation>Mit dem Paket openai (pip install openai).</translation>
        </message>
        <message>
            <source>Without one every program and every user of this machine can use the models.</source>
            <translation>Ohne kann jedes Programm und jeder Benutzer dieses Rechners die Modelle benutzen.</translation>
        </message>
        <message>
            <source>Without the proxy</source>
            <translation>Ohne den Proxy</translation>
        </message>
        <message>
            <source>Workspace</source>
            <translation>Arbeitsspeicher</translation>
        </message>
        <message>
            <source>Wrap long lines</source>
            <translation>Lange Zeilen umbrechen</translation>
        </message>
        <message>
            <source>Write a short poem about the sea in winter</source>
            <translation>Schreibe ein kurzes Gedicht über das Meer im Winter</translation>
        </message>
        <message>
            <source>Write pages as 1-5, 8.</source>
            <translation>Schreibe Seiten als 1-5, 8.</translation>
        </message>
        <message>
            <source>Writing {name}</source>
            <translation>{name} wird geschrieben</translation>
        </message>
        <message>
            <source>Written: {time}</source>
            <translation>Geschrieben: {time}</translation>
        </message>
        <message>
            <source>Yesterday</source>
            <translation>Gestern</translation>
        </message>
        <message>
            <source>You</source>
            <translation>Du</translation>
        </message>
        <message>
            <source>You edited this answer.</source>
            <translation>Du hast diese Antwort bearbeitet.</translation>
        </message>
        <message>
            <source>You may use and change it for any purpose if you name its authors and share changes under the same licence.</source>
            <translation>Du darfst es für jeden Zweck benutzen und ändern, wenn du die Urheber nennst und Änderungen unter derselben Lizenz teilst.</translation>
        </message>
        <message>
            <source>You may use and change it for any purpose if you name its authors.</source>
            <translation>Du darfst es für jeden Zweck benutzen und ändern, wenn du die Urheber nennst.</translation>
        </message>
        <message>
            <source>You may use and share it within its list of prohibited uses, which you pass on.</source>
            <translation>Du darfst es im Rahmen seiner Liste verbotener Zwecke benutzen und teilen; die Liste gibst du weiter.</translation>
        </message>
        <message>
            <source>You may use and share it, also for business, within Google's list of prohibited uses, which you pass on.</source>
            <translation>Du darfst es benutzen und teilen, auch geschäftlich, im Rahmen von Googles Liste verbotener Zwecke, die du weitergibst.</translation>
        </message>
        <message>
            <source>You may use and share it, also for business, within Meta's list of prohibited uses; products with more than 700 million users a month need Meta's permission.</source>
            <translation>Du darfst es benutzen und teilen, auch geschäftlich, im Rahmen von Metas Liste verbotener Zwecke; Produkte mit mehr als 700 Millionen Nutzern im Monat brauchen Metas Erlaubnis.</translation>
        </message>
        <message>
            <source>You may use and share it, also for business, within TII's list of prohibited uses, and name its origin.</source>
            <translation>Du darfst es benutzen und teilen, auch geschäftlich, im Rahmen von TIIs Liste verbotener Zwecke, und nennst die Herkunft.</translation>
        </message>
        <message>
            <source>You may use, change and share it for any purpose, also for business; keep its notices.</source>
            <translation>Du darfst es für jeden Zweck benutzen, ändern und teilen, auch geschäftlich; lass die Hinweise darin stehen.</translation>
        </message>
        <message>
            <source>You: {text}</source>
            <translation>Du: {text}</translation>
        </message>
        <message>
            <source>Your conversations</source>
            <translation>Deine Unterhaltungen</translation>
        </message>
        <message>
            <source>Your conversations stay. To use the model again it must be ternarised again.</source>
            <translation>Deine Unterhaltungen bleiben. Um das Modell wieder zu benutzen, muss es neu ternarisiert werden.</translation>
        </message>
        <message>
            <source>Your conversations will be kept here.</source>
            <translation>Hier werden deine Unterhaltungen aufbewahrt.</translation>
        </message>
        <message>
            <source>[Image from {host} — show]</source>
            <translation>[Bild von {host} — zeigen]</translation>
        </message>
        <message>
            <source>[Image from {host}: {label} — show]</source>
            <translation>[Bild von {host}: {label} — zeigen]</translation>
        </message>
        <message>
            <source>[Image: {label}]</source>
            <translation>[Bild: {label}]</translation>
        </message>
        <message>
            <source>a token</source>
            <translation>ein Token</translation>
        </message>
        <message>
            <source>about {size} to keep</source>
            <translation>etwa {size} zu behalten</translation>
        </message>
        <message>
            <source>all of it is on this machine</source>
            <translation>alles davon ist auf diesem Rechner</translation>
        </message>
        <message>
            <source>all {count} pages</source>
            <translation>alle {count} Seiten</translation>
        </message>
        <message>
            <source>an answer is being written</source>
            <translation>eine Antwort wird geschrieben</translation>
        </message>
        <message>
            <source>an entry lacks a field</source>
            <translation>einem Eintrag fehlt ein Feld</translation>
        </message>
        <message>
            <source>another each time</source>
            <translation>jedes Mal ein anderer</translation>
        </message>
        <message>
            <source>answers stay sensible, details differ</source>
            <translation>die Antworten bleiben sinnvoll, Einzelheiten weichen ab</translation>
        </message>
        <message>
            <source>as far as the context reaches</source>
            <translation>so weit der Kontext reicht</translation>
        </message>
        <message>
            <source>at most about {count} tokens fit</source>
            <translation>höchstens etwa {count} Token passen</translation>
        </message>
        <message>
            <source>at most {size}</source>
            <translation>höchstens {size}</translation>
        </message>
        <message>
            <source>better</source>
            <translation>besser</translation>
        </message>
        <message>
            <source>blocks</source>
            <translation>Blöcke</translation>
        </message>
        <message>
            <source>broken off</source>
            <translation>abgebrochen</translation>
        </message>
        <message>
            <source>by a probe of {device} just now</source>
            <translation>durch eine Probe von {device} gerade eben</translation>
        </message>
        <message>
            <source>by version {version}</source>
            <translation>mit Version {version}</translation>
        </message>
        <message>
            <source>bytes</source>
            <translation>Bytes</translation>
        </message>
        <message>
            <source>cannot be read: {reason}</source>
            <translation>nicht zu lesen: {reason}</translation>
        </message>
        <message>
            <source>changed</source>
            <translation>geändert</translation>
        </message>
        <message>
            <source>check what it says</source>
            <translation>prüfe, was es sagt</translation>
        </message>
        <message>
            <source>closed</source>
            <translation>zu</translation>
        </message>
        <message>
            <source>code</source>
            <translation>Code</translation>
        </message>
        <message>
            <source>config.json is not understood: {reason}</source>
            <translation>config.json ist nicht zu verstehen: {reason}</translation>
        </message>
        <message>
            <source>conversation</source>
            <translation>Unterhaltung</translation>
        </message>
        <message>
            <source>conversations</source>
            <translation>Unterhaltungen</translation>
        </message>
        <message>
            <source>deleted: {day}</source>
            <translation>gelöscht: {day}</translation>
        </message>
        <message>
            <source>differences are rarely noticed</source>
            <translation>Unterschiede fallen selten auf</translation>
        </message>
        <message>
            <source>does not fit</source>
            <translation>passt nicht</translation>
        </message>
        <message>
            <source>does not fit: needs about {need}, this machine has {memory}</source>
            <translation>passt nicht: braucht etwa {need}, dieser Rechner hat {memory}</translation>
        </message>
        <message>
            <source>does not fit: needs {need}, this machine has {memory}</source>
            <translation>passt nicht: braucht {need}, dieser Rechner hat {memory}</translation>
        </message>
        <message>
            <source>edited</source>
            <translation>bearbeitet</translation>
        </message>
        <message>
            <source>endpoint, mirror, HF_ENDPOINT</source>
            <translation>Endpunkt, Spiegel, HF_ENDPOINT</translation>
        </message>
        <message>
            <source>estimated</source>
            <translation>geschätzt</translation>
        </message>
        <message>
            <source>estimated, with {count} answers measured here</source>
            <translation>geschätzt, mit {count} hier gemessenen Antworten</translation>
        </message>
        <message>
            <source>exit code {code}</source>
            <translation>Code {code}</translation>
        </message>
        <message>
            <source>expect mistakes; a larger one stays nearer</source>
            <translation>rechne mit Fehlern; ein größeres bleibt näher dran</translation>
        </message>
        <message>
            <source>f16 · unquantised</source>
            <translation>f16 · unquantisiert</translation>
        </message>
        <message>
            <source>failed</source>
            <translation>fehlgeschlagen</translation>
        </message>
        <message>
            <source>first word after {time}</source>
            <translation>erstes Wort nach {time}</translation>
        </message>
        <message>
            <source>fits</source>
            <translation>passt</translation>
        </message>
        <message>
            <source>fits when other programs are closed: needs about {need} of {memory}, {free} are free now</source>
            <translation>passt, wenn andere Programme geschlossen werden: braucht etwa {need} von {memory}, frei sind jetzt {free}</translation>
        </message>
        <message>
            <source>fits when other programs are closed: needs {need} of {memory}, {free} are free now</source>
            <translation>passt, wenn andere Programme geschlossen werden: braucht {need} von {memory}, frei sind jetzt {free}</translation>
        </message>
        <message>
            <source>fits: needs about {need} of {memory}</source>
            <translation>passt: braucht etwa {need} von {memory}</translation>
        </message>
        <message>
            <source>fits: needs {need} of {memory}</source>
            <translation>passt: braucht {need} von {memory}</translation>
        </message>
        <message>
            <source>folded</source>
            <translation>zugeklappt</translation>
        </message>
        <message>
            <source>for {size} of a card</source>
            <translation>für {size} einer Grafikkarte</translation>
        </message>
        <message>
            <source>from its sources</source>
            <translation>aus den Quellen</translation>
        </message>
        <message>
            <source>game mode, gaming, graphics memory, pause</source>
            <translation>Spielmodus, Spiele, Grafikspeicher, Pause</translation>
        </message>
        <message>
            <source>i4 · 4-bit integers</source>
            <translation>i4 · 4-Bit-Ganzzahlen</translation>
        </message>
        <message>
            <source>i8 · 8-bit integers</source>
            <translation>i8 · 8-Bit-Ganzzahlen</translation>
        </message>
        <message>
            <source>in folder {name}</source>
            <translation>im Ordner {name}</translation>
        </message>
        <message>
            <source>in memory</source>
            <translation>im Speicher</translation>
        </message>
        <message>
            <source>in {duration}</source>
            <translation>in {duration}</translation>
        </message>
        <message>
            <source>internet, airplane mode, connection</source>
            <translation>Internet, Flugmodus, Verbindung</translation>
        </message>
        <message>
            <source>interrupted</source>
            <translation>unterbrochen</translation>
        </message>
        <message>
            <source>it does not answer</source>
            <translation>sie antwortet nicht</translation>
        </message>
        <message>
            <source>it fits</source>
            <translation>es passt</translation>
        </message>
        <message>
            <source>it has none</source>
            <translation>es hat keine</translation>
        </message>
        <message>
            <source>it was not ready after {seconds} s</source>
            <translation>sie war nach {seconds} s nicht bereit</translation>
        </message>
        <message>
            <source>its answers are practically the same</source>
            <translation>seine Antworten sind praktisch die gleichen</translation>
        </message>
        <message>
            <source>kept in {bits}</source>
            <translation>aufbewahrt in {bits}</translation>
        </message>
        <message>
            <source>keyboard, new line</source>
            <translation>Tastatur, neue Zeile</translation>
        </message>
        <message>
            <source>login, password, gated, account</source>
            <translation>Anmeldung, Passwort, zugangsbeschränkt, Konto</translation>
        </message>
        <message>
            <source>longer conversations and texts</source>
            <translation>längere Unterhaltungen und Texte</translation>
        </message>
        <message>
            <source>measuring this machine</source>
            <translation>misst diesen Rechner</translation>
        </message>
        <message>
            <source>more than {count} tokens</source>
            <translation>mehr als {count} Token</translation>
        </message>
        <message>
            <source>natively ternary</source>
            <translation>von Haus aus ternär</translation>
        </message>
        <message>
            <source>needed</source>
            <translation>nötig</translation>
        </message>
        <message>
            <source>needs an account</source>
            <translation>braucht ein Konto</translation>
        </message>
        <message>
            <source>never: only when you say so</source>
            <translation>nie: nur wenn du es sagst</translation>
        </message>
        <message>
            <source>no address is known</source>
            <translation>keine Adresse bekannt</translation>
        </message>
        <message>
            <source>no length fits beside the weights</source>
            <translation>neben die Gewichte passt keine Länge</translation>
        </message>
        <message>
            <source>none</source>
            <comment>no length of the context fits</comment>
            <translation>keiner</translation>
        </message>
        <message>
            <source>not enough disk space: needs about {need}, {free} are free</source>
            <translation>nicht genug Speicherplatz: braucht etwa {need}, frei sind {free}</translation>
        </message>
        <message>
            <source>not fetched</source>
            <translation>nicht geholt</translation>
        </message>
        <message>
            <source>not known</source>
            <translation>unbekannt</translation>
        </message>
        <message>
            <source>not set</source>
            <translation>nicht gesetzt</translation>
        </message>
        <message>
            <source>nothing</source>
            <translation>nichts</translation>
        </message>
        <message>
            <source>notification, message, tray</source>
            <translation>Benachrichtigung, Meldung, Infobereich</translation>
        </message>
        <message>
            <source>off</source>
            <translation>aus</translation>
        </message>
        <message>
            <source>on</source>
            <translation>an</translation>
        </message>
        <message>
            <source>on {device}</source>
            <translation>auf {device}</translation>
        </message>
        <message>
            <source>one for each core</source>
            <translation>einer je Kern</translation>
        </message>
        <message>
            <source>open</source>
            <translation>offen</translation>
        </message>
        <message>
            <source>original not kept</source>
            <translation>Original nicht behalten</translation>
        </message>
        <message>
            <source>pages {range}</source>
            <translation>Seiten {range}</translation>
        </message>
        <message>
            <source>pasted text.txt</source>
            <translation>eingefügter Text.txt</translation>
        </message>
        <message>
            <source>pinned</source>
            <translation>angeheftet</translation>
        </message>
        <message>
            <source>q2 · four levels</source>
            <translation>q2 · vier Stufen</translation>
        </message>
        <message>
            <source>quality: {name}</source>
            <translation>Qualität: {name}</translation>
        </message>
        <message>
            <source>running</source>
            <translation>läuft</translation>
        </message>
        <message>
            <source>shorter, less memory</source>
            <translation>kürzer, weniger Speicher</translation>
        </message>
        <message>
            <source>size not known before its metadata is read</source>
            <translation>Größe unbekannt, bevor die Metadaten gelesen sind</translation>
        </message>
        <message>
            <source>smaller, faster</source>
            <translation>kleiner, schneller</translation>
        </message>
        <message>
            <source>stopped</source>
            <translation>gestoppt</translation>
        </message>
        <message>
            <source>t1 · one ternary plane (smallest)</source>
            <translation>t1 · eine ternäre Ebene (am kleinsten)</translation>
        </message>
        <message>
            <source>t2 · two ternary planes (recommended for small models)</source>
            <translation>t2 · zwei ternäre Ebenen (empfohlen für kleine Modelle)</translation>
        </message>
        <message>
            <source>the longest it was made for, {count} tokens, fits</source>
            <translation>das Längste, wofür es gemacht ist, {count} Token, passt</translation>
        </message>
        <message>
            <source>the model</source>
            <translation>das Modell</translation>
        </message>
        <message>
            <source>the system ended it, perhaps because memory ran out</source>
            <translation>das System hat sie beendet, vielleicht weil der Speicher ausging</translation>
        </message>
        <message>
            <source>theme, dark mode, colours</source>
            <translation>Thema, dunkler Modus, Farben</translation>
        </message>
        <message>
            <source>to a question of 512 tokens</source>
            <translation>auf eine Frage von 512 Token</translation>
        </message>
        <message>
            <source>today, {time}</source>
            <translation>heute, {time}</translation>
        </message>
        <message>
            <source>tokens</source>
            <translation>Token</translation>
        </message>
        <message>
            <source>tz ended with exit code {code}.</source>
            <translation>tz endete mit Code {code}.</translation>
        </message>
        <message>
            <source>unfolded</source>
            <translation>aufgeklappt</translation>
        </message>
        <message>
            <source>unknown</source>
            <translation>unbekannt</translation>
        </message>
        <message>
            <source>weights</source>
            <translation>Gewichte</translation>
        </message>
        <message>
            <source>what the model and memory allow</source>
            <translation>was Modell und Speicher erlauben</translation>
        </message>
        <message>
            <source>what the model recommends</source>
            <translation>was das Modell empfiehlt</translation>
        </message>
        <message>
            <source>without a title</source>
            <translation>ohne Titel</translation>
        </message>
        <message>
            <source>{bits} bits a weight</source>
            <translation>{bits} Bit je Gewicht</translation>
        </message>
        <message>
            <source>{count} downloads</source>
            <translation>{count}-mal geladen</translation>
        </message>
        <message>
            <source>{count} files, {size}</source>
            <translation>{count} Dateien, {size}</translation>
        </message>
        <message>
            <source>{count} found</source>
            <translation>{count} gefunden</translation>
        </message>
        <message>
            <source>{count} likes</source>
            <translation>{count}-mal gemocht</translation>
        </message>
        <message>
            <source>{count} more</source>
            <translation>{count} mehr</translation>
        </message>
        <message>
            <source>{count} ms</source>
            <translation>{count} ms</translation>
        </message>
        <message>
            <source>{count} or more</source>
            <translation>{count} oder mehr</translation>
        </message>
        <message>
            <source>{count} requests, to {hosts}.</source>
            <translation>{count} Anfragen, an {hosts}.</translation>
        </message>
        <message>
            <source>{count} tokens</source>
            <translation>{count} Token</translation>
        </message>
        <message>
            <source>{count} tokens in {precision} take {size} of memory.</source>
            <translation>{count} Token in {precision} brauchen {size} Speicher.</translation>
        </message>
        <message>
            <source>{count} tokens in {precision}.</source>
            <translation>{count} Token in {precision}.</translation>
        </message>
        <message>
            <source>{count} tokens of context</source>
            <translation>{count} Token Kontext</translation>
        </message>
        <message>
            <source>{count} tokens take {size} of memory.</source>
            <translation>{count} Token brauchen {size} Speicher.</translation>
        </message>
        <message>
            <source>{count} tokens.</source>
            <translation>{count} Token.</translation>
        </message>
        <message>
            <source>{count} weights</source>
            <translation>{count} Gewichte</translation>
        </message>
        <message>
            <source>{day} {month} {year}</source>
            <translation>{day}. {month} {year}</translation>
        </message>
        <message>
            <source>{done} of {total}</source>
            <translation>{done} von {total}</translation>
        </message>
        <message>
            <source>{done} of {total} conversations</source>
            <translation>{done} von {total} Unterhaltungen</translation>
        </message>
        <message>
            <source>{done} of {total} {unit}</source>
            <translation>{done} von {total} {unit}</translation>
        </message>
        <message>
            <source>{download} to download, about {keep} to keep</source>
            <translation>{download} herunterzuladen, etwa {keep} zu behalten</translation>
        </message>
        <message>
            <source>{file} cannot be deleted: {reason}.</source>
            <translation>{file} lässt sich nicht löschen: {reason}.</translation>
        </message>
        <message>
            <source>{file} cannot be written: {reason}.</source>
            <translation>{file} lässt sich nicht schreiben: {reason}.</translation>
        </message>
        <message>
            <source>{first} and {second} do not fit into the memory together: they answer one after the other.</source>
            <translation>{first} und {second} passen nicht zusammen in den Speicher: Sie antworten nacheinander.</translation>
        </message>
        <message>
            <source>{fit} (measured here)</source>
            <translation>{fit} (hier gemessen)</translation>
        </message>
        <message>
            <source>{folder} cannot be made ({reason}); set TZ_HOME to a folder that can be written</source>
            <translation>{folder} lässt sich nicht anlegen ({reason}); setze TZ_HOME auf einen beschreibbaren Ordner</translation>
        </message>
        <message>
            <source>{folder} cannot be written; set TZ_HOME to a folder that can be</source>
            <translation>{folder} ist nicht beschreibbar; setze TZ_HOME auf einen Ordner, der es ist</translation>
        </message>
        <message>
            <source>{free} of main memory are free, of which {kept} are kept for the system.</source>
            <translation>Vom Hauptspeicher sind {free} frei, davon bleiben {kept} dem System.</translation>
        </message>
        <message>
            <source>{free} of {card} are free, of which {kept} are kept for the system.</source>
            <translation>Auf {card} sind {free} frei, davon bleiben {kept} dem System.</translation>
        </message>
        <message>
            <source>{host} answers, after {milliseconds} ms.</source>
            <translation>{host} antwortet, nach {milliseconds} ms.</translation>
        </message>
        <message>
            <source>{messages} and {files}</source>
            <translation>{messages} und {files}</translation>
        </message>
        <message>
            <source>{month} {year}</source>
            <translation>{month} {year}</translation>
        </message>
        <message>
            <source>{names}: not there any more; it was deleted outside this program.</source>
            <translation>{names}: nicht mehr da; außerhalb dieses Programms gelöscht.</translation>
        </message>
        <message>
            <source>{name}  (not installed)</source>
            <translation>{name}  (nicht installiert)</translation>
        </message>
        <message>
            <source>{name}  ·  {count} tokens</source>
            <translation>{name}  ·  {count} Token</translation>
        </message>
        <message>
            <source>{name} (own)</source>
            <translation>{name} (eigene)</translation>
        </message>
        <message>
            <source>{name} answers here, on this machine.</source>
            <translation>{name} antwortet hier, auf diesem Rechner.</translation>
        </message>
        <message>
            <source>{name} cannot be read: it took too much memory or is damaged.</source>
            <translation>{name} ist nicht zu lesen: Es brauchte zu viel Speicher oder ist beschädigt.</translation>
        </message>
        <message>
            <source>{name} cannot be read: {reason}.</source>
            <translation>{name} ist nicht zu lesen: {reason}.</translation>
        </message>
        <message>
            <source>{name} could not be made.</source>
            <translation>{name} ließ sich nicht machen.</translation>
        </message>
        <message>
            <source>{name} could not be measured: {reason}</source>
            <translation>{name} ließ sich nicht messen: {reason}</translation>
        </message>
        <message>
            <source>{name} failed: {reason}</source>
            <translation>{name} ist fehlgeschlagen: {reason}</translation>
        </message>
        <message>
            <source>{name} holds more text than any model reads at once: attach a part of it.</source>
            <translation>{name} enthält mehr Text, als ein Modell auf einmal liest: Hänge einen Teil davon an.</translation>
        </message>
        <message>
            <source>{name} holds pictures of its pages and no text: run text recognition (OCR) on it first.</source>
            <translation>{name} enthält Bilder seiner Seiten und keinen Text: Lass zuerst eine Texterkennung (OCR) darüberlaufen.</translation>
        </message>
        <message>
            <source>{name} holds slides: save them as PDF to attach them.</source>
            <translation>{name} enthält Folien: Speichere sie als PDF, um sie anzuhängen.</translation>
        </message>
        <message>
            <source>{name} is a folder: attach the files in it.</source>
            <translation>{name} ist ein Ordner: Hänge die Dateien darin an.</translation>
        </message>
        <message>
            <source>{name} is a spreadsheet: save it as CSV to attach it.</source>
            <translation>{name} ist eine Tabellenkalkulation: Speichere sie als CSV, um sie anzuhängen.</translation>
        </message>
        <message>
            <source>{name} is an archive: unpack it and attach the files in it.</source>
            <translation>{name} ist ein Archiv: Packe es aus und hänge die Dateien darin an.</translation>
        </message>
        <message>
            <source>{name} is damaged and cannot be read.</source>
            <translation>{name} ist beschädigt und nicht zu lesen.</translation>
        </message>
        <message>
            <source>{name} is empty.</source>
            <translation>{name} ist leer.</translation>
        </message>
        <message>
            <source>{name} is in the old Word format: save it as .docx or PDF to attach it.</source>
            <translation>{name} ist im alten Word-Format: Speichere es als .docx oder PDF, um es anzuhängen.</translation>
        </message>
        <message>
            <source>{name} is in the rich text format: save it as .docx, PDF or plain text to attach it.</source>
            <translation>{name} ist im Rich-Text-Format: Speichere es als .docx, PDF oder reinen Text, um es anzuhängen.</translation>
        </message>
        <message>
            <source>{name} is measured.</source>
            <translation>{name} ist gemessen.</translation>
        </message>
        <message>
            <source>{name} is no option of a conversion.</source>
            <translation>{name} ist keine Option des Ternarisierens.</translation>
        </message>
        <message>
            <source>{name} is not text: pictures, sound, programs and archives cannot be read.</source>
            <translation>{name} ist kein Text: Bilder, Töne, Programme und Archive lassen sich nicht lesen.</translation>
        </message>
        <message>
            <source>{name} is not there any more, or it is no file.</source>
            <translation>{name} ist nicht mehr da oder keine Datei.</translation>
        </message>
        <message>
            <source>{name} is protected with a password: save a copy without one to attach it.</source>
            <translation>{name} ist mit einem Passwort geschützt: Speichere eine Kopie ohne, um sie anzuhängen.</translation>
        </message>
        <message>
            <source>{name} is ready.</source>
            <translation>{name} ist bereit.</translation>
        </message>
        <message>
            <source>{name} is too large: files of up to {most} MB can be attached.</source>
            <translation>{name} ist zu groß: Dateien bis {most} MB lassen sich anhängen.</translation>
        </message>
        <message>
            <source>{name} takes too long to be read: it may be damaged; attach a part of it.</source>
            <translation>{name} zu lesen dauert zu lange: Vielleicht ist es beschädigt; hänge einen Teil davon an.</translation>
        </message>
        <message>
            <source>{name} takes too much memory to be read: it may be damaged; attach a part of it.</source>
            <translation>{name} zu lesen braucht zu viel Speicher: Vielleicht ist es beschädigt; hänge einen Teil davon an.</translation>
        </message>
        <message>
            <source>{name} unpacks to far more than a document holds and is not opened.</source>
            <translation>{name} entpackt sich zu weit mehr, als ein Dokument enthält, und wird nicht geöffnet.</translation>
        </message>
        <message>
            <source>{name}, changed</source>
            <translation>{name}, geändert</translation>
        </message>
        <message>
            <source>{name}, slider</source>
            <translation>{name}, Schieberegler</translation>
        </message>
        <message>
            <source>{name}: a value is needed</source>
            <translation>{name}: ein Wert ist nötig</translation>
        </message>
        <message>
            <source>{name}: the password does not belong here, it has a field of its own below</source>
            <translation>{name}: Das Passwort gehört nicht hierher, es hat unten ein eigenes Feld</translation>
        </message>
        <message>
            <source>{name}: where should it be kept?</source>
            <translation>{name}: Wo soll es liegen?</translation>
        </message>
        <message>
            <source>{name}: {size}</source>
            <translation>{name}: {size}</translation>
        </message>
        <message>
            <source>{name}: {value} is no address; it looks like https://host or http://host:port</source>
            <translation>{name}: {value} ist keine Adresse; sie sieht aus wie https://rechner oder http://rechner:port</translation>
        </message>
        <message>
            <source>{name}: {value} is none of {known}</source>
            <translation>{name}: {value} ist keines von {known}</translation>
        </message>
        <message>
            <source>{name}: {value} is not a value of the right kind</source>
            <translation>{name}: {value} ist kein Wert der richtigen Art</translation>
        </message>
        <message>
            <source>{name}: {value} is not between {low} and {high}</source>
            <translation>{name}: {value} liegt nicht zwischen {low} und {high}</translation>
        </message>
        <message>
            <source>{note}; on the processor, a card is faster</source>
            <translation>{note}; auf dem Prozessor, eine Grafikkarte ist schneller</translation>
        </message>
        <message>
            <source>{number} B</source>
            <translation>{number} Mrd.</translation>
        </message>
        <message>
            <source>{number} M</source>
            <translation>{number} Mio.</translation>
        </message>
        <message>
            <source>{number} M {unit}/s</source>
            <translation>{number} Mio. {unit}/s</translation>
        </message>
        <message>
            <source>{number} of {count}</source>
            <translation>{number} von {count}</translation>
        </message>
        <message>
            <source>{number} tokens/s</source>
            <translation>{number} Token/s</translation>
        </message>
        <message>
            <source>{number} tokens/s measured here</source>
            <translation>{number} Token/s, hier gemessen</translation>
        </message>
        <message>
            <source>{number}. {step}</source>
            <translation>{number}. {step}</translation>
        </message>
        <message>
            <source>{path} cannot be opened: {reason}</source>
            <translation>{path} lässt sich nicht öffnen: {reason}</translation>
        </message>
        <message>
            <source>{path} cannot be reached ({reason}): its models are not shown.</source>
            <translation>{path} ist nicht erreichbar ({reason}): Seine Modelle werden nicht gezeigt.</translation>
        </message>
        <message>
            <source>{path} cannot be used ({reason}); move it away to begin with an empty one</source>
            <translation>{path} ist nicht zu gebrauchen ({reason}); schaffe sie beiseite, um mit einer leeren anzufangen</translation>
        </message>
        <message>
            <source>{path} cannot be written: {reason}</source>
            <translation>{path} lässt sich nicht schreiben: {reason}</translation>
        </message>
        <message>
            <source>{path} is damaged and cannot be renamed: {reason}</source>
            <translation>{path} ist beschädigt und lässt sich nicht umbenennen: {reason}</translation>
        </message>
        <message>
            <source>{path} is damaged: {reason}</source>
            <translation>{path} ist beschädigt: {reason}</translation>
        </message>
        <message>
            <source>{path} was written by a newer version of this program: update the program to open it</source>
            <translation>{path} stammt von einer neueren Version dieses Programms: Aktualisiere es, um sie zu öffnen</translation>
        </message>
        <message>
            <source>{percent} %</source>
            <translation>{percent} %</translation>
        </message>
        <message>
            <source>{percent} %  ·  about {time} left</source>
            <translation>{percent} %  ·  noch etwa {time}</translation>
        </message>
        <message>
            <source>{program} {size}</source>
            <translation>{program} {size}</translation>
        </message>
        <message>
            <source>{size} are here already</source>
            <translation>{size} sind schon hier</translation>
        </message>
        <message>
            <source>{size} in the end</source>
            <translation>am Ende {size}</translation>
        </message>
        <message>
            <source>{size} that was kept ready of its conversations goes as well.</source>
            <translation>Auch {size}, die für seine Unterhaltungen bereitlagen, gehen weg.</translation>
        </message>
        <message>
            <source>{size} to download</source>
            <translation>{size} herunterzuladen</translation>
        </message>
        <message>
            <source>{size} too much</source>
            <translation>{size} zu viel</translation>
        </message>
        <message>
            <source>{step}: done</source>
            <translation>{step}: fertig</translation>
        </message>
        <message>
            <source>{step}: to come</source>
            <translation>{step}: kommt noch</translation>
        </message>
        <message>
            <source>{step}: under way</source>
            <translation>{step}: in Arbeit</translation>
        </message>
        <message>
            <source>{text}  ({keys})</source>
            <translation>{text}  ({keys})</translation>
        </message>
        <message>
            <source>{title} · {model}</source>
            <translation>{title} · {model}</translation>
        </message>
        <message>
            <source>{used} of {total} tokens</source>
            <translation>{used} von {total} Token</translation>
        </message>
        <message>
            <source>{used} of {total} tokens used</source>
            <translation>{used} von {total} Token belegt</translation>
        </message>
        <message>
            <source>{value} is no size: write a number and its unit, as in 20GB.</source>
            <translation>{value} ist keine Größe: Schreibe eine Zahl und ihre Einheit, wie in 20GB.</translation>
        </message>
        <message>
            <source>{value} is none of the qualities high, balanced and small.</source>
            <translation>{value} ist keine der Qualitäten hoch, ausgewogen und klein.</translation>
        </message>
        <message>
            <source>{what} go with it. This cannot be undone.</source>
            <translation>{what} gehen mit weg. Das lässt sich nicht rückgängig machen.</translation>
        </message>
        <message>
            <source>{who}, answer to: {question}</source>
            <translation>{who}, Antwort auf: {question}</translation>
        </message>
        <message>
            <source>“{title}” was deleted.</source>
            <translation>„{title}“ wurde gelöscht.</translation>
        </message>
    </context>
</TS>
