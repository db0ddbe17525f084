"""Write the schema files again."""

from latticewatch.wire.schema import FOLDER, write_schemas

if __name__ == "__main__":
    write_schemas(FOLDER)
