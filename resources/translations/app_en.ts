<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_GB" sourcelanguage="en">
    <context>
        <name />
        <message numerus="yes">
            <source>%n attached file(s)</source>
            <translation>
                <numerusform>%n attached file</numerusform>
                <numerusform>%n attached files</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s)</source>
            <translation>
                <numerusform>%n conversation</numerusform>
                <numerusform>%n conversations</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) found</source>
            <translation>
                <numerusform>%n conversation found</numerusform>
                <numerusform>%n conversations found</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) were deleted.</source>
            <translation>
                <numerusform>%n conversation was deleted.</numerusform>
                <numerusform>%n conversations were deleted.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) with {messages} imported from {program}.</source>
            <translation>
                <numerusform>%n conversation with {messages} imported from {program}.</numerusform>
                <numerusform>%n conversations with {messages} imported from {program}.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n conversation(s) written to {file} ({size}).</source>
            <translation>
                <numerusform>%n conversation written to {file} ({size}).</numerusform>
                <numerusform>%n conversations written to {file} ({size}).</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n could not be read:</source>
            <translation>
                <numerusform>%n could not be read:</numerusform>
                <numerusform>%n could not be read:</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n found so far</source>
            <translation>
                <numerusform>%n found so far</numerusform>
                <numerusform>%n found so far</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n message(s)</source>
            <translation>
                <numerusform>%n message</numerusform>
                <numerusform>%n messages</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n message(s) in all their branches</source>
            <translation>
                <numerusform>%n message in all its branches</numerusform>
                <numerusform>%n messages in all their branches</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n picture(s) and files cannot be imported; they are named in their place.</source>
            <translation>
                <numerusform>%n picture or file cannot be imported; it is named in its place.</numerusform>
                <numerusform>%n pictures and files cannot be imported; they are named in their place.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n that were imported before or come from here were left out.</source>
            <translation>
                <numerusform>%n that was imported before or comes from here was left out.</numerusform>
                <numerusform>%n that were imported before or come from here were left out.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n under way</source>
            <translation>
                <numerusform>%n under way</numerusform>
                <numerusform>%n under way</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n waiting.</source>
            <translation>
                <numerusform>%n waiting.</numerusform>
                <numerusform>%n waiting.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n without messages were left out.</source>
            <translation>
                <numerusform>%n without messages was left out.</numerusform>
                <numerusform>%n without messages were left out.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>Delete %n conversation(s) for ever?</source>
            <translation>
                <numerusform>Delete %n conversation for ever?</numerusform>
                <numerusform>Delete %n conversations for ever?</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>From here on the model does not read the first %n message(s) any more.</source>
            <translation>
                <numerusform>From here on the model does not read the first message any more (%n).</numerusform>
                <numerusform>From here on the model does not read the first %n messages any more.</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>Jobs that were interrupted: %n. What is done is kept.</source>
            <translation>
                <numerusform>Jobs that were interrupted: %n. What is done is kept.</numerusform>
                <numerusform>Jobs that were interrupted: %n. What is done is kept.</numerusform>
            </translation>
        </message>
    </context>
</TS>
