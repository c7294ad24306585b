{{ config(
    materialized='incremental',
    incremental_strategy='renew',
    unique_key=['transaction_id'],
    meta={'affected_key': 'loan_hk'},
    pre_hook=["{{ note_affected(affected_loans()) }}"],
    indexes=[{'columns': ['transaction_id'], 'unique': true}, {'columns': ['loan_hk']}, {'columns': ['effect']}],
) }}

{{ with_affected('loan_hk') }}
sat_loan as {{ rows_of(ref('sat_loan')) }},
link_loan as {{ rows_of(ref('link_loan')) }},
loan_movement as {{ rows_of(ref('loan_movement')) }},
hub_loan as {{ rows_of(ref('hub_loan')) }},
hub_product as {{ rows_of(ref('hub_product')) }},

loans as (
    select l.loan_hk, l.application_hk, l.product_hk, l.party_hk
    from ({{ current_of('sat_loan', 'loan', 's.loan_hk in (select a.loan_hk from affected as a)' if is_incremental() else '1 = 1') }}) as s
    inner join link_loan as l on l.link_hk = s.link_hk
),

final as (
    select
        m.transaction_id,
        cast(m.loan_hk as varchar(64)) as loan_hk,
        h.loan_id,
        cast(l.application_hk as varchar(64)) as application_hk,
        cast(l.party_hk as varchar(64)) as borrower_hk,
        p.product_code,
        m.currency,
        m.effect,
        case when m.reverses is null then 0 else 1 end as is_reversal,
        m.reverses,
        m.effective_on,
        m.is_dated,
        m.recorded_at,
        m.amount,
        m.reversed_on
    from loan_movement as m
    inner join loans as l on l.loan_hk = m.loan_hk
    inner join hub_loan as h on h.loan_hk = m.loan_hk
    inner join hub_product as p on p.product_hk = l.product_hk
)

select * from final
