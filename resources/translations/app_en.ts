<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en_GB" sourcelanguage="en">
    <context>
        <name />
        <message numerus="yes">
            <source>%n job was interrupted. What is done is kept.</source>
            <translation>
                <numerusform>%n job was interrupted. What is done is kept.</numerusform>
                <numerusform>%n jobs were interrupted. What is done is kept.</numerusform>
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
    </context>
</TS>
